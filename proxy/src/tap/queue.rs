//! The rows that wait for who looks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Passed, Wanted};

/// Bytes of labels and reasons in one queue; a row that alone is larger is missed.
const MOST_BYTES: usize = 4 << 20;

/// Who looks, and what it has not been shown yet.
#[derive(Debug)]
pub struct Tap {
    wanted: Wanted,
    rows: Mutex<Rows>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Rows {
    /// In the order in which their outcomes were known.
    waiting: VecDeque<Arc<Passed>>,
    bytes: usize,
    missed: u64,
}

/// What a tap was told.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The eldest first.
    pub rows: Vec<Arc<Passed>>,
    /// Rows for which there was no room.
    pub missed: u64,
}

impl Tap {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self { wanted, rows: Mutex::default(), news: Notify::new() }
    }

    pub(super) fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Waits until there is something to tell, and takes it. Of several who wait one is woken.
    pub async fn next(&self) -> Seen {
        loop {
            let seen = self.take();
            if !seen.rows.is_empty() || seen.missed > 0 {
                return seen;
            }
            self.news.notified().await;
        }
    }

    /// Takes what there is.
    pub fn take(&self) -> Seen {
        let Rows { waiting, missed, .. } = std::mem::take(&mut *self.locked());
        Seen { rows: waiting.into(), missed }
    }

    /// What there is, which stays until others take its room.
    pub fn look(&self) -> Seen {
        let rows = self.locked();
        Seen { rows: rows.waiting.iter().cloned().collect(), missed: rows.missed }
    }

    /// Whether a profile with these labels is to be told.
    pub(super) fn wants(&self, passed: &Passed) -> bool {
        [&passed.before, &passed.after].into_iter().flatten().any(|labels| self.wanted.selector.matches(labels))
    }

    pub(super) fn tell(&self, passed: Arc<Passed>) {
        let mut rows = self.locked();
        rows.bytes += passed.byte_len();
        rows.waiting.push_back(passed);
        while rows.waiting.len() > self.wanted.rows || rows.bytes > MOST_BYTES {
            let Some(eldest) = rows.waiting.pop_front() else { break };
            rows.bytes -= eldest.byte_len();
            rows.missed += 1;
        }
        drop(rows);
        self.news.notify_one();
    }

    fn locked(&self) -> MutexGuard<'_, Rows> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
