//! Where the samples of each stack are, by the stack's id.

use super::IdMap;

/// No place has this number.
pub(super) const NOWHERE: u32 = u32::MAX;
/// async-profiler's ids are places in a hash table of 65,536 at first; the JDK counts from 1 on.
const LEAST: usize = 1 << 17;
/// Of as many ids as there are a table may have so many times the places: hash tables are never fuller.
const SPARE: usize = 4;

/// Places by ids. Ids that lie close together stand in a table that needs no hashing.
#[derive(Default)]
pub(super) struct Places {
    close: Vec<u32>,
    far: IdMap<u32>,
    count: usize,
}

impl Places {
    #[inline]
    pub(super) fn at(&self, id: u64) -> Option<u32> {
        let close = usize::try_from(id).ok().and_then(|id| self.close.get(id));
        match close {
            Some(place) if *place != NOWHERE => Some(*place),
            _ if self.far.is_empty() => None,
            _ => self.far.get(&id).copied(),
        }
    }

    /// How many ids there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// Adds an id that is not known, and says how many bytes more are taken.
    pub(super) fn insert(&mut self, id: u64, place: u32) -> usize {
        let before = self.close.len();
        self.count += 1;
        let limit = LEAST.max(SPARE * self.count);
        match usize::try_from(id).ok().filter(|id| *id < limit) {
            Some(id) => {
                if id >= before {
                    self.close.resize(id + 1, NOWHERE);
                }
                if let Some(slot) = self.close.get_mut(id) {
                    *slot = place;
                }
                (self.close.len() - before) * size_of::<u32>()
            }
            None => {
                self.far.insert(id, place);
                2 * size_of::<(u64, u32)>()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_found_close_and_far() {
        let mut places = Places::default();
        let ids = [1, 0, u64::MAX, LEAST as u64 - 1, LEAST as u64, 1 << 40];
        for (place, id) in (0..).zip(ids) {
            assert_eq!(places.at(id), None);
            assert!(places.insert(id, place) < 1 << 20);
        }
        // What was far stays so when the table grows beyond it.
        for id in 2..1 + LEAST as u64 / 2 {
            places.insert(id, 7);
        }
        assert!(places.close.len() <= LEAST);
        places.insert(LEAST as u64 + 1, 8);
        for (place, id) in (0..).zip(ids) {
            assert_eq!(places.at(id), Some(place), "{id}");
        }
        assert_eq!((places.at(LEAST as u64 + 1), places.at(LEAST as u64 + 2)), (Some(8), None));
    }
}
