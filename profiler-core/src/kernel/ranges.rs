//! Which parts of one array belong to whom.

use std::collections::BTreeMap;
use std::ops::Range;

/// The free parts of an array; neighbours are one.
pub(super) struct Ranges {
    /// Where each begins, and how long it is.
    free: BTreeMap<u32, u32>,
}

impl Ranges {
    pub(super) fn new(size: u32) -> Self {
        Self { free: BTreeMap::from([(0, size)]) }
    }

    /// The first part that is long enough. An empty range takes nothing.
    pub(super) fn take(&mut self, length: u32) -> Option<Range<u32>> {
        if length == 0 {
            return Some(0..0);
        }
        let (start, free) = self.free.iter().find(|(_, free)| **free >= length).map(|(start, free)| (*start, *free))?;
        self.free.remove(&start);
        if free > length {
            self.free.insert(start + length, free - length);
        }
        Some(start..start + length)
    }

    pub(super) fn give_back(&mut self, range: Range<u32>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        if let Some((before, length)) = self.free.range(..start).next_back().map(|(start, length)| (*start, *length))
            && before + length == start
        {
            self.free.remove(&before);
            start = before;
        }
        if let Some(length) = self.free.remove(&end) {
            end += length;
        }
        self.free.insert(start, end - start);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_given_back_in_any_order_is_whole_again() {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut ranges = Ranges::new(10);
            let parts = [ranges.take(3).unwrap(), ranges.take(3).unwrap(), ranges.take(4).unwrap()];
            assert_eq!(parts, [0..3, 3..6, 6..10]);
            assert_eq!(ranges.take(1), None);
            for place in order {
                let part: Range<u32> = parts[place].clone();
                ranges.give_back(part);
            }
            assert_eq!(ranges.take(10), Some(0..10), "{order:?}");
        }
    }

    #[test]
    fn the_first_part_that_is_long_enough_is_taken() {
        let mut ranges = Ranges::new(10);
        let (first, second) = (ranges.take(2).unwrap(), ranges.take(5).unwrap());
        ranges.give_back(first);
        assert_eq!(ranges.take(3), Some(7..10));
        assert_eq!(ranges.take(2), Some(0..2));
        ranges.give_back(second);
        assert_eq!(ranges.take(0), Some(0..0));
        assert_eq!(ranges.take(5), Some(2..7));
    }
}
