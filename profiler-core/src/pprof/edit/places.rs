//! Where an entry stands in its table: ids are the sender's choice.

use std::collections::HashMap;

use rapidhash::fast::RandomState;

/// From ids to places.
#[derive(Debug)]
pub(super) enum Places {
    /// Ids count from 1, as nearly all profilers have them; holds how many there are.
    Counted(usize),
    /// Any ids.
    Any(HashMap<u64, usize, RandomState>),
}

impl Places {
    pub(super) fn of(ids: impl ExactSizeIterator<Item = u64> + Clone) -> Self {
        let counted = ids.clone().zip(1..).all(|(id, counted)| id == counted);
        if counted {
            Self::Counted(ids.len())
        } else {
            Self::Any(ids.enumerate().map(|(place, id)| (id, place)).collect())
        }
    }

    pub(super) fn place(&self, id: u64) -> Option<usize> {
        match self {
            Self::Counted(count) => usize::try_from(id).ok()?.checked_sub(1).filter(|place| place < count),
            Self::Any(places) => places.get(&id).copied(),
        }
    }
}
