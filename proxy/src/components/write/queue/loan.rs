//! A record that is being sent.

use std::time::{Duration, SystemTime};

use durable_queue::{Queue, Record};
use http::HeaderMap;

use super::batch::Item;
use super::record::{self, QueuedCall, Request};

/// A record, and what became of its calls so far.
#[derive(Debug)]
pub(super) struct Loan {
    record: Option<Record>,
    /// The `traceparent` of the request that it came with.
    pub(super) trace: HeaderMap,
    /// Calls of which nothing is known yet.
    waiting: usize,
    taken: usize,
    rejected: Vec<QueuedCall>,
    reason: String,
}

impl Loan {
    /// A record with this in it.
    pub(super) fn of(record: Record, Request { calls, trace }: Request, place: usize) -> (Self, Vec<Item>) {
        let (waiting, record) = (calls.len(), Some(record));
        let items = calls.into_iter().map(|queued| Item { loan: place, queued }).collect();
        let loan = Self { record, trace, waiting, taken: 0, rejected: Vec::new(), reason: String::new() };
        // Nothing in it is nothing to wait for.
        (loan.settled(), items)
    }

    /// How long it still may wait.
    pub(super) fn patience(&self, max_age: Duration) -> Duration {
        let Some(record) = &self.record else { return max_age };
        let age = SystemTime::now().duration_since(record.time()).unwrap_or_default();
        // Only what is older is too old.
        max_age.saturating_sub(age) + Duration::from_millis(1)
    }

    /// One of its calls has arrived.
    pub(super) fn take(self) -> Self {
        Self { waiting: self.waiting.saturating_sub(1), taken: self.taken + 1, ..self }.settled()
    }

    /// One of its calls will never arrive.
    pub(super) fn reject(mut self, call: QueuedCall, reason: &str) -> Self {
        self.rejected.push(call);
        if self.reason.is_empty() {
            reason.clone_into(&mut self.reason);
        }
        Self { waiting: self.waiting.saturating_sub(1), ..self }.settled()
    }

    /// Where nothing of it waits any more the queue is told what became of it.
    fn settled(mut self) -> Self {
        if self.waiting > 0 {
            return self;
        }
        match self.record.take() {
            Some(record) if self.rejected.is_empty() => record.acknowledge(),
            Some(record) if self.taken == 0 => record.reject(&self.reason),
            Some(record) => record.reject_part(&self.reason, self.whole(&self.rejected).concat().into()),
            None => {}
        }
        self
    }

    /// These calls have to wait for another time. Where others of the same record are done with, so that it cannot come
    /// again as it is, they become a record of their own, the newest one.
    pub(super) async fn give_back(mut self, rest: Vec<QueuedCall>, queue: &Queue, max_age: Duration) {
        let is_as_it_was = self.taken == 0 && self.rejected.is_empty();
        let is_too_old = self.patience(max_age) <= Duration::from_millis(1);
        if rest.is_empty() || is_as_it_was || is_too_old {
            return;
        }
        // Where the rest cannot be kept, what has arrived has to arrive again.
        if queue.append(&self.whole(&rest)).await.is_ok() {
            self.waiting = 0;
            self.settled();
        }
    }

    fn whole(&self, calls: &[QueuedCall]) -> Vec<bytes::Bytes> {
        record::encode(calls, self.trace.get("traceparent"))
    }
}
