//! The memory of a process with words that are others than in it.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use profiler_core::runtime::{ProcessMemory, ReadMemory};

/// What is changed in it is changed for who reads it here.
pub(crate) struct Image {
    live: ProcessMemory,
    changes: RefCell<BTreeMap<u64, u64>>,
    read: RefCell<BTreeSet<u64>>,
}

impl Image {
    pub(crate) fn new(live: ProcessMemory) -> Self {
        Self { live, changes: RefCell::default(), read: RefCell::default() }
    }

    pub(crate) fn change(&self, address: u64, word: u64) {
        self.changes.borrow_mut().insert(address, word);
    }

    pub(crate) fn undo(&self) {
        self.changes.borrow_mut().clear();
    }

    /// The words that were read since the last call.
    pub(crate) fn take_read(&self) -> Vec<u64> {
        self.read.take().into_iter().collect()
    }
}

impl ReadMemory for Image {
    fn read(&self, address: u64, into: &mut [u8]) -> bool {
        if !self.live.read(address, into) {
            return false;
        }
        let end = address.saturating_add(into.len() as u64);
        if into.len() <= 8 {
            self.read.borrow_mut().insert(address & !7);
        }
        for (at, word) in self.changes.borrow().range(address.saturating_sub(7)..end) {
            for (byte, value) in (*at..).zip(word.to_le_bytes()) {
                let place = byte.checked_sub(address).and_then(|place| usize::try_from(place).ok());
                if let Some(changed) = place.and_then(|place| into.get_mut(place)) {
                    *changed = value;
                }
            }
        }
        true
    }
}
