//! A queue for tasks: what they ask for is done on a thread of its own, many appends with one sync.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use tokio::sync::{Semaphore, oneshot};

use crate::limits::{AppendError, Limits, Stats};
use crate::log::Payload;
use crate::writer::{Observer, Shared, Waiting, Want};

/// A queue on disk. A clone is the same queue; its thread ends, and its folder is free, when all clones and all records
/// are gone.
#[derive(Debug, Clone)]
pub struct Queue {
    lease: Arc<Lease>,
}

/// Keeps the thread.
#[derive(Debug)]
pub(crate) struct Lease {
    shared: Arc<Shared>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.shared.tell(|inbox| inbox.closed = true);
    }
}

impl Queue {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { lease: Arc::new(Lease { shared }) }
    }

    pub(crate) fn from_lease(lease: Arc<Lease>) -> Self {
        Self { lease }
    }

    pub(crate) fn lease(&self) -> &Arc<Lease> {
        &self.lease
    }

    /// Appends these bytes as one record, and returns when it is durable. It copies them, and waits while others fill
    /// [`Limits::memory`]. Whoever stops waiting may find the record appended, or not.
    ///
    /// # Errors
    /// The record was not taken, and will not be found in the queue; after [`AppendError::Io`] it may be there after a
    /// restart.
    pub async fn append(&self, parts: &[Bytes]) -> Result<u64, AppendError> {
        let shared = &self.lease.shared;
        let limits = *lock(&shared.limits);
        let bytes: usize = parts.iter().map(Bytes::len).sum();
        let (length, limit) = (bytes as u64, limits.max_payload());
        if length > limit {
            return Err(AppendError::TooLong { length, limit });
        }
        let permits = u32::try_from(bytes.min(shared.room)).unwrap_or(u32::MAX);
        let permit = Semaphore::acquire_many_owned(Arc::clone(&shared.waiting), permits).await;
        let mut whole = BytesMut::with_capacity(bytes);
        parts.iter().for_each(|part| whole.extend_from_slice(part));
        let payload = Payload::new(whole.freeze());
        let (done, result) = oneshot::channel();
        let permit = permit.map_err(|_| AppendError::Closed)?;
        shared.ask(|inbox| inbox.appends.push(Waiting { payload, done, _permit: permit }));
        result.await.unwrap_or(Err(AppendError::Closed))
    }

    /// Lends the oldest records that nobody has borrowed: as many as these limits allow, at least one, and waits for it.
    /// Several may borrow at the same time. None when the queue's thread has ended.
    pub async fn borrow(&self, max_records: usize, max_bytes: usize) -> Option<Vec<Record>> {
        let (reply, lent) = oneshot::channel();
        self.lease.shared.ask(|inbox| {
            // Those that nobody waits for any more would pile up in an empty queue.
            inbox.wants.retain(|want| !want.reply.is_closed());
            inbox.wants.push(Want {
                max_records: max_records.max(1),
                max_bytes,
                reply,
                lease: Arc::downgrade(&self.lease),
            });
        });
        lent.await.ok()
    }

    /// Returns when all that was acknowledged before is durable; false if the disk does not take it, which is tried
    /// again.
    pub async fn saved(&self) -> bool {
        let (done, result) = oneshot::channel();
        self.lease.shared.ask(|inbox| inbox.saves.push(done));
        result.await.unwrap_or(false)
    }

    /// Limits that hold from the next append on, or in a minute. [`Limits::memory`] holds for payloads that are on disk; how many may wait to be
    /// written stays.
    pub fn set_limits(&self, limits: Limits) {
        *lock(&self.lease.shared.limits) = limits;
    }

    /// Has the thread tell how long each group of records took to be written and synced, from the next one on; whoever
    /// was told before is told no more.
    pub fn observe_writes(&self, observe: impl Fn(Duration) + Send + Sync + 'static) {
        *lock(&self.lease.shared.observe) = Some(Observer(Arc::new(observe)));
    }

    /// What it holds, and what became of what it held.
    pub fn stats(&self) -> Stats {
        *lock(&self.lease.shared.stats)
    }
}

/// A record on loan. Dropped without a word it goes back, and is the next one to be lent.
#[derive(Debug)]
pub struct Record {
    sequence: u64,
    time: u64,
    payload: Bytes,
    verdict: Verdict,
    lease: Arc<Lease>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    GiveBack,
    Acknowledge,
    Reject(Box<str>, Bytes),
}

impl Record {
    pub(crate) fn new(lent: crate::log::Lent, lease: Arc<Lease>) -> Self {
        let crate::log::Lent { sequence, time, payload } = lent;
        Self { sequence, time, payload, verdict: Verdict::GiveBack, lease }
    }

    /// Its place in the queue.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// When it was appended.
    pub fn time(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(self.time)
    }

    /// What was appended.
    pub fn payload(&self) -> &Bytes {
        &self.payload
    }

    /// It has arrived; it is lent no more. [`Queue::saved`] tells when this is durable.
    pub fn acknowledge(mut self) {
        self.verdict = Verdict::Acknowledge;
    }

    /// It will never arrive. It is kept, with the reason, in the folder `rejected` until that is full or the record is
    /// too old.
    pub fn reject(self, reason: &str) {
        let whole = self.payload.clone();
        self.reject_part(reason, whole);
    }

    /// The same, where these bytes are to be kept in the place of what was appended: the rest of it has arrived.
    pub fn reject_part(mut self, reason: &str, part: Bytes) {
        self.verdict = Verdict::Reject(reason.into(), part);
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        let verdict = std::mem::replace(&mut self.verdict, Verdict::GiveBack);
        self.lease.shared.settle(self.sequence, verdict);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
