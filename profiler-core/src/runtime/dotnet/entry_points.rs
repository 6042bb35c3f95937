//! Methods of an image that was compiled ahead, by where their code begins: each that ran is in a hash map of its image.

use super::half;
use super::layout::Layout;
use crate::runtime::memory::ReadMemory;

/// Those of an image.
pub(super) struct EntryPoints<'m> {
    pub(super) memory: &'m dyn ReadMemory,
    pub(super) layout: &'m Layout,
    /// Its `ReadyToRunInfo`.
    pub(super) image: u64,
    /// Where it begins.
    pub(super) base: u64,
}

/// Parts of a method that follow its first one: what handles its exceptions.
const MAX_PARTS: u32 = 64;
/// A map's slots are in buckets: { u64 keys[4]; u64 values[4] }. The first has their number instead.
const BUCKET: u64 = 64;
const SLOTS: usize = 4;
/// Buckets that are looked at for one key.
const MAX_PROBES: u64 = 64;
/// Values are halved. In the first one the bit above says that a key may be in another bucket, too.
const VALUE: u64 = u64::MAX >> 1;
/// Size of `RUNTIME_FUNCTION`: { u32 begin; u32 end; u32 unwind }, on aarch64 without its end.
const FUNCTION: u64 = if cfg!(target_arch = "x86_64") { 12 } else { 8 };

impl EntryPoints<'_> {
    /// The method whose code, or part of it, begins at an address.
    pub(super) fn method(&self, start: u64) -> Option<u64> {
        if let Some(method) = self.at(start) {
            return Some(method);
        }
        let functions = self.memory.pointer(self.image.wrapping_add(self.layout.image.functions.into()))?;
        let begin_of = |place: u32| half(self.memory, functions.wrapping_add(FUNCTION * u64::from(place)));
        let offset = u32::try_from(start.checked_sub(self.base)?).ok()?;
        let (mut low, mut high) = (0, half(self.memory, self.image.wrapping_add(self.layout.image.count.into()))?);
        while low < high {
            let middle = low + (high - low) / 2;
            if begin_of(middle)? <= offset {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        // It is the one before `low`, and parts follow their method.
        (low.saturating_sub(MAX_PARTS)..low.saturating_sub(1))
            .rev()
            .find_map(|place| self.at(self.base.wrapping_add(begin_of(place)?.into())))
    }

    /// `PtrHashMap::LookupValue`
    fn at(&self, key: u64) -> Option<u64> {
        let map = self.image.wrapping_add(self.layout.image.methods.into());
        let buckets = self.memory.pointer(map.wrapping_add(self.layout.map_buckets.into()))?;
        let count = self.memory.word(buckets)?.try_into().ok().filter(|count: &u32| *count > 1)?;
        let mut place = (key >> 2) as u32;
        let step = 1 + ((key >> 5) as u32).wrapping_add(1) % (count - 1);
        for _ in 0..u64::from(count).min(MAX_PROBES) {
            let bucket = buckets.wrapping_add(BUCKET * (1 + u64::from(place % count)));
            let words = self.memory.words(bucket, 2 * SLOTS);
            let (keys, values) = words.split_at_checked(SLOTS)?;
            if let Some(slot) = keys.iter().position(|found| *found == key) {
                return values.get(slot).map(|value| value << 1).filter(|method| *method != 0);
            }
            if values.first()? & !VALUE == 0 {
                return None;
            }
            place = place.wrapping_add(step);
        }
        None
    }
}
