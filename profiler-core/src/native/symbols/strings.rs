//! The names of a table, each kept once.

use std::collections::HashMap;
use std::hash::BuildHasher;

/// Longest name, in bytes: what is longer is cut. The longest of real programs, of templates, have some ten thousand.
pub const MAX_NAME: usize = 64 << 10;
/// Most bytes of all names. The largest browsers have about 100 MiB.
const MAX_BYTES: usize = 256 << 20;
/// Most bytes that are looked at: a file may say that each of its symbols has the same long name.
const MAX_WORK: usize = 1 << 30;

/// Where a name is: how many bytes stand before it. The empty name is at 0.
pub(super) type Place = u32;

#[derive(Debug)]
pub(super) struct Strings {
    /// Each name is { u16 length; bytes }.
    bytes: Vec<u8>,
    /// By hash: of two names with one hash the first is kept again each time, which does no harm.
    places: HashMap<u64, Place, rapidhash::fast::RandomState>,
    work: usize,
    pub(super) cut: bool,
}

impl Strings {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0, 0], places: HashMap::default(), work: 0, cut: false }
    }

    /// Keeps a name. That of no bytes where there are too many.
    pub(super) fn add(&mut self, name: &[u8]) -> Place {
        if name.is_empty() {
            return 0;
        }
        let name = name.get(..MAX_NAME - 1).unwrap_or(name);
        self.work += name.len();
        let (Ok(length), Ok(place)) = (u16::try_from(name.len()), Place::try_from(self.bytes.len())) else { return 0 };
        if self.work > MAX_WORK || self.bytes.len() + name.len() > MAX_BYTES {
            self.cut = true;
            return 0;
        }
        let hash = self.places.hasher().hash_one(name);
        if let Some(known) = self.places.get(&hash)
            && self.at(*known) == name
        {
            return *known;
        }
        self.bytes.extend(length.to_le_bytes());
        self.bytes.extend(name);
        self.places.insert(hash, place);
        place
    }

    /// The name that begins a text and ends with a zero.
    pub(super) fn add_terminated(&mut self, text: &[u8], from: u64) -> Place {
        if self.work > MAX_WORK {
            self.cut = true;
            return 0;
        }
        let rest = usize::try_from(from).ok().and_then(|from| text.get(from..)).unwrap_or_default();
        let rest = rest.get(..MAX_NAME - 1).unwrap_or(rest);
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        self.add(rest.get(..end).unwrap_or_default())
    }

    pub(super) fn at(&self, place: Place) -> &[u8] {
        let rest = usize::try_from(place).ok().and_then(|place| self.bytes.get(place..)).unwrap_or_default();
        let Some((length, rest)) = rest.split_first_chunk() else { return &[] };
        rest.get(..usize::from(u16::from_le_bytes(*length))).unwrap_or_default()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Gives back what is needed only while names are added.
    pub(super) fn close(&mut self) {
        self.places = HashMap::default();
        self.bytes.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once() {
        let mut strings = Strings::new();
        let [first, second, again] = ["a", "bc", "a"].map(|name| strings.add(name.as_bytes()));
        assert_eq!((first, strings.at(second)), (again, &b"bc"[..]));
        assert_eq!((strings.add(b""), strings.at(0)), (0, &b""[..]));
        assert_eq!(strings.add_terminated(b"xx\0bc\0", 3), second);
        assert_eq!(strings.add_terminated(b"bc", 7), 0);
        assert_eq!(strings.at(u32::MAX), b"");
    }

    #[test]
    fn no_more_than_a_bounded_number_of_bytes_is_looked_at() {
        let mut strings = Strings::new();
        let long = vec![b'x'; 2 * MAX_NAME];
        let place = strings.add(&long);
        assert_eq!(strings.at(place).len(), MAX_NAME - 1);
        let kept = (0..=MAX_WORK / MAX_NAME + 1).filter(|_| strings.add(&long) == place).count();
        assert!(kept < MAX_WORK / MAX_NAME + 1 && strings.cut);
    }
}
