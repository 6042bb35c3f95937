//! The thread that owns a queue's files, and what is told to it.

use std::fmt;
use std::fs;
use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError, Weak};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::files::DiskFolder;
use crate::limits::{AppendError, Limits, Stats};
use crate::log::{Log, Payload};
use crate::queue::{Lease, Record, Verdict, lock};
use crate::rejected::Rejected;

/// After what failed is tried again: positions that cannot be written, files that cannot be opened.
const TICK: Duration = Duration::from_secs(1);
/// How often records are looked through for those that are too old.
const QUIET_TICK: Duration = Duration::from_secs(60);

/// The same, where there are no files.
const IDLE_TICK: Duration = Duration::from_secs(24 * 60 * 60);

/// What was acknowledged waits so long for an append or a loan to be written down with: of its own it costs a sync.
const SAVE_WITHIN: Duration = Duration::from_millis(20);

/// What tasks and thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    inbox: Mutex<Inbox>,
    wake: Condvar,
    pub(crate) limits: Mutex<Limits>,
    pub(crate) stats: Mutex<Stats>,
    pub(crate) observe: Mutex<Option<Observer>>,
    /// Bytes that may wait to be written.
    pub(crate) waiting: Arc<Semaphore>,
    /// All permits of `waiting`.
    pub(crate) room: usize,
}

/// Whom the thread tells how long writing took.
#[derive(Clone)]
pub(crate) struct Observer(pub Arc<dyn Fn(Duration) + Send + Sync>);

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// What is to be done. Appends are bounded by `waiting`, verdicts by what is lent, the others by those who wait for them.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    pub appends: Vec<Waiting>,
    pub verdicts: Vec<(u64, Verdict)>,
    pub wants: Vec<Want>,
    pub saves: Vec<oneshot::Sender<bool>>,
    pub closed: bool,
}

#[derive(Debug)]
pub(crate) struct Waiting {
    pub payload: Payload,
    pub done: oneshot::Sender<Result<u64, AppendError>>,
    pub _permit: OwnedSemaphorePermit,
}

impl AsRef<Payload> for Waiting {
    fn as_ref(&self) -> &Payload {
        &self.payload
    }
}

/// Somebody who waits for records.
#[derive(Debug)]
pub(crate) struct Want {
    pub max_records: usize,
    pub max_bytes: usize,
    pub reply: oneshot::Sender<Vec<Record>>,
    /// Whoever waits keeps the queue, not what it waits in.
    pub lease: Weak<Lease>,
}

impl Shared {
    pub(crate) fn new(limits: Limits, stats: Stats) -> Self {
        let room = limits.memory.clamp(1 << 20, Semaphore::MAX_PERMITS.min(u32::MAX as usize));
        Self {
            inbox: Mutex::default(),
            wake: Condvar::new(),
            limits: Mutex::new(limits),
            stats: Mutex::new(stats),
            observe: Mutex::default(),
            waiting: Arc::new(Semaphore::new(room)),
            room,
        }
    }

    pub(crate) fn tell(&self, change: impl FnOnce(&mut Inbox)) {
        change(&mut lock(&self.inbox));
        self.wake.notify_one();
    }

    /// The same; where the thread has ended the question is dropped, and with it the way to an answer.
    pub(crate) fn ask(&self, question: impl FnOnce(&mut Inbox)) {
        self.tell(|inbox| {
            if !inbox.closed {
                question(inbox)
            }
        });
    }

    /// What became of a record. The first one wakes the thread, so that it knows of a time to look at them.
    pub(crate) fn settle(&self, sequence: u64, verdict: Verdict) {
        let mut inbox = lock(&self.inbox);
        inbox.verdicts.push((sequence, verdict));
        if inbox.verdicts.len() == 1 {
            self.wake.notify_one();
        }
    }

    /// What there is to be done; waits for it, but no longer than that. Where that is until others are written down
    /// verdicts alone wait too.
    fn wait(&self, longest: Duration) -> Inbox {
        let verdicts_wait = longest <= SAVE_WITHIN;
        let waiting = self.wake.wait_timeout_while(lock(&self.inbox), longest, |inbox| {
            !inbox.is_urgent() && (verdicts_wait || inbox.verdicts.is_empty())
        });
        let (mut inbox, _) = waiting.unwrap_or_else(PoisonError::into_inner);
        let closed = inbox.closed;
        std::mem::replace(&mut *inbox, Inbox { closed, ..Inbox::default() })
    }
}

impl Inbox {
    /// Whether somebody waits.
    fn is_urgent(&self) -> bool {
        let Self { appends, verdicts: _, wants, saves, closed } = self;
        !appends.is_empty() || !wants.is_empty() || !saves.is_empty() || *closed
    }
}

/// The thread's own.
pub(crate) struct Writer {
    pub shared: Arc<Shared>,
    pub log: Log<DiskFolder>,
    pub rejected: Rejected,
    /// Its lock ends with the thread.
    pub lock: fs::File,
}

impl Writer {
    pub(crate) fn spawn(self) -> io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("queue".to_owned()).spawn(move || self.run())
    }

    fn run(mut self) {
        let _closed = CloseAtEnd(Arc::clone(&self.shared));
        let (mut wants, mut closed, mut tick, mut unsaved_since) = (Vec::new(), false, QUIET_TICK, None);
        while !closed {
            let inbox = self.shared.wait(tick);
            self.log.limits = *lock(&self.shared.limits);
            let now = milliseconds(SystemTime::now());
            for (sequence, verdict) in inbox.verdicts {
                self.settle(sequence, verdict, now);
            }
            self.append(inbox.appends, now);
            self.log.expire(now);
            wants.extend(inbox.wants);
            wants.retain(|want: &Want| !want.reply.is_closed());
            // Before the position is saved: lending finds out what is too old.
            let loans = self.lend(&mut wants, now);
            let is_late = unsaved_since.is_some_and(|since: Instant| since.elapsed() >= SAVE_WITHIN);
            // Nobody gets more before what he had is written down: so much can come twice, and no more.
            let is_due = is_late || !loans.is_empty() || !inbox.saves.is_empty() || inbox.closed;
            let saved = !self.log.is_unsaved() || is_due && self.log.save_position(now);
            for (reply, records) in loans {
                // Records that nobody takes come back by themselves.
                let _ = reply.send(records);
            }
            *lock(&self.shared.stats) = self.log.stats();
            for done in inbox.saves {
                // Nobody there is nobody to be told.
                let _ = done.send(saved);
            }
            unsaved_since = (!saved && !is_due).then(|| unsaved_since.unwrap_or_else(Instant::now));
            tick = match (unsaved_since, saved && !self.log.stalled, self.log.stats().bytes) {
                (Some(since), ..) => SAVE_WITHIN.saturating_sub(since.elapsed()),
                (None, false, _) => TICK,
                (None, true, 0) => IDLE_TICK,
                (None, true, _) => QUIET_TICK,
            };
            closed = inbox.closed;
        }
        drop(self.lock);
    }

    fn append(&mut self, appends: Vec<Waiting>, now: u64) {
        if appends.is_empty() {
            return;
        }
        let (began, before) = (Instant::now(), self.log.stats().appended);
        let mut answers = Vec::with_capacity(appends.len());
        self.log.append(appends, now, |waiting, result| answers.push((waiting.done, result)));
        // Who is answered is counted.
        *lock(&self.shared.stats) = self.log.stats();
        for (done, result) in answers {
            // Nobody there is nobody to be told.
            let _ = done.send(result);
        }
        if self.log.stats().appended > before
            && let Some(Observer(observe)) = lock(&self.shared.observe).clone()
        {
            observe(began.elapsed());
        }
    }

    fn settle(&mut self, sequence: u64, verdict: Verdict, now: u64) {
        match verdict {
            Verdict::GiveBack => self.log.give_back(sequence),
            Verdict::Acknowledge => self.log.acknowledge(sequence),
            Verdict::Reject(reason, payload) => {
                // A disk that is full must not stop what can be sent; the reason is known to whoever rejected it.
                let kept = self.rejected.append(&self.log.limits, &reason, &payload, now);
                self.log.reject(sequence, kept);
            }
        }
    }

    /// Records for those who wait, in their order.
    fn lend(&mut self, wants: &mut Vec<Want>, now: u64) -> Vec<(oneshot::Sender<Vec<Record>>, Vec<Record>)> {
        let (mut loans, mut waiting) = (Vec::new(), std::mem::take(wants).into_iter());
        for want in waiting.by_ref() {
            let Some(lease) = want.lease.upgrade() else { continue };
            let lent = self.log.lend(want.max_records, want.max_bytes, now);
            if lent.is_empty() {
                wants.push(want);
                break;
            }
            loans.push((want.reply, lent.into_iter().map(|lent| Record::new(lent, Arc::clone(&lease))).collect()));
        }
        wants.extend(waiting);
        loans
    }
}

/// However the thread ends, who asks afterwards is told so.
struct CloseAtEnd(Arc<Shared>);

impl Drop for CloseAtEnd {
    fn drop(&mut self) {
        self.0.waiting.close();
        self.0.tell(|inbox| *inbox = Inbox { closed: true, ..Inbox::default() });
    }
}

pub(crate) fn milliseconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
