//! A bound on the bytes that are held at one time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, Semaphore};

/// How many bytes of bodies a listener may hold at once. Clones share the bound.
#[derive(Debug, Clone)]
pub struct Budget(Arc<Ledger>);

#[derive(Debug)]
struct Ledger {
    limit: AtomicUsize,
    used: AtomicUsize,
    /// Of those who wait for bytes one has its turn.
    turn: Semaphore,
    /// Bytes came back.
    freed: Notify,
}

impl Budget {
    /// A budget of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Ledger {
            limit: AtomicUsize::new(limit),
            used: AtomicUsize::new(0),
            turn: Semaphore::new(1),
            freed: Notify::new(),
        }))
    }

    /// Changes the bound. What is held already stays held.
    pub fn resize(&self, limit: usize) {
        self.0.limit.store(limit, Ordering::Relaxed);
    }

    /// Bytes held now.
    pub fn used(&self) -> usize {
        self.0.used.load(Ordering::Relaxed)
    }

    /// Takes bytes, or `None` where they are not to be had: there is no waiting.
    pub fn take(&self, bytes: usize) -> Option<Share> {
        let mut share = Share { ledger: Some(self.0.clone()), bytes: 0 };
        share.grow(bytes).then_some(share)
    }
}

/// Bytes taken from a [`Budget`]; dropping gives them back.
#[derive(Debug)]
pub struct Share {
    ledger: Option<Arc<Ledger>>,
    bytes: usize,
}

impl Share {
    /// A share of nothing, for profiles whose memory no listener bounds.
    pub fn unbounded() -> Self {
        Self { ledger: None, bytes: 0 }
    }

    /// A share of nothing yet, of the same budget.
    #[must_use]
    pub fn another(&self) -> Self {
        Self { ledger: self.ledger.clone(), bytes: 0 }
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes that its budget has for all; as many as there can be where nothing bounds it.
    pub fn limit(&self) -> usize {
        self.ledger.as_ref().map_or(usize::MAX, |ledger| ledger.limit.load(Ordering::Relaxed))
    }

    /// Takes more bytes; `false` where they are not to be had, and then nothing changed.
    #[must_use]
    pub fn grow(&mut self, more: usize) -> bool {
        if let Some(ledger) = &self.ledger {
            let limit = ledger.limit.load(Ordering::Relaxed);
            let taken = ledger.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(more).filter(|after| *after <= limit)
            });
            if taken.is_err() {
                return false;
            }
        }
        self.bytes += more;
        true
    }

    /// Takes more bytes as soon as they are to be had, behind those who wait already; `false` where the budget is too small
    /// for them. The deadline is the caller's: several who wait while they hold some may wait for each other.
    #[must_use]
    pub async fn grow_in_turn(&mut self, more: usize) -> bool {
        let Some(ledger) = self.ledger.clone() else { return self.grow(more) };
        let is_waited_for = ledger.turn.available_permits() == 0;
        if !is_waited_for && self.grow(more) {
            return true;
        }
        let Ok(_turn) = ledger.turn.acquire().await else { return false };
        loop {
            if self.grow(more) {
                return true;
            }
            if self.bytes.saturating_add(more) > self.limit() {
                return false;
            }
            ledger.freed.notified().await;
        }
    }

    /// Gives back all but `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        let back = self.bytes.saturating_sub(bytes);
        if let Some(ledger) = &self.ledger {
            ledger.used.fetch_sub(back, Ordering::Relaxed);
            ledger.freed.notify_one();
        }
        self.bytes -= back;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.shrink(0);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_budget_is_never_exceeded_and_comes_back() {
        let budget = Budget::new(100);
        let mut first = budget.take(60).unwrap();
        assert!(budget.take(41).is_none());
        assert!(first.grow(40));
        assert!(!first.grow(1));
        assert!(!first.grow(usize::MAX));
        first.shrink(30);
        assert_eq!((budget.used(), first.bytes()), (30, 30));
        drop(first);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn who_waits_for_bytes_gets_them_in_turn() {
        let budget = Budget::new(100);
        let held = budget.take(90).unwrap();
        let waiting = |bytes| {
            let mut share = budget.take(0).unwrap();
            let mut growing = async move { share.grow_in_turn(bytes).await.then_some(share) }.boxed();
            assert!((&mut growing).now_or_never().is_none());
            growing
        };
        let first = waiting(60);
        // There would be room for it: it does not overtake.
        let second = waiting(10);
        drop(held);
        let first = first.await.unwrap();
        let second = second.await.unwrap();
        assert_eq!((first.bytes(), second.bytes(), budget.used()), (60, 10, 70));
        // Who gives up makes way.
        let gives_up = waiting(50);
        let third = waiting(20);
        drop(gives_up);
        assert!(third.await.is_some());
        assert!(!budget.take(0).unwrap().grow_in_turn(101).await, "it never fits");
    }

    #[test]
    fn a_smaller_budget_leaves_what_is_held() {
        let budget = Budget::new(100);
        let held = budget.take(90).unwrap();
        budget.resize(50);
        assert!(budget.take(1).is_none());
        drop(held);
        assert!(budget.take(50).is_some());
    }
}
