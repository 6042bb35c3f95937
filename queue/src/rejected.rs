//! What backends refused: a log beside the queue, of the same form, that drops its oldest records when it is full.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::files::DiskFolder;
use crate::limits::{AppendError, Limits, WhenFull};
use crate::log::{Lent, Log, Payload};

/// The folder's name within that of the queue.
pub(crate) const FOLDER: &str = "rejected";

/// A part of the queue's size that rejected records may take.
const SHARE: u64 = 16;

pub(crate) struct Rejected {
    path: PathBuf,
    /// Opened when the first one comes.
    log: Option<Log<DiskFolder>>,
}

impl Rejected {
    pub(crate) fn new(queue: &Path) -> Self {
        Self { path: queue.join(FOLDER), log: None }
    }

    /// Whether it is on disk.
    pub(crate) fn append(&mut self, limits: &Limits, reason: &str, payload: &[u8], now: u64) -> bool {
        let Ok(log) = self.log(limits) else { return false };
        let mut kept = false;
        let record = Payload::new(encode(reason, payload));
        log.append([record], now, |_, result: Result<u64, AppendError>| kept = result.is_ok());
        log.expire(now);
        kept
    }

    fn log(&mut self, limits: &Limits) -> io::Result<&mut Log<DiskFolder>> {
        let limits =
            Limits { max_size: limits.max_size / SHARE, when_full: WhenFull::DropOldest, memory: 0, ..*limits };
        let mut log = match self.log.take() {
            Some(log) => log,
            None => Log::open(DiskFolder::open(&self.path)?, limits)?.0,
        };
        log.limits = limits;
        Ok(self.log.insert(log))
    }
}

/// A record that was rejected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedRecord {
    /// Why.
    pub reason: String,
    /// When.
    pub time: SystemTime,
    /// What was kept of it.
    pub payload: Bytes,
}

/// What was rejected from the queue in this folder and is kept, oldest first. The queue may be in use.
///
/// # Errors
/// The folder cannot be read.
pub fn read_rejected(queue: &Path) -> io::Result<impl Iterator<Item = RejectedRecord> + use<>> {
    let path = queue.join(FOLDER);
    let mut log = if path.try_exists()? { Some(Log::read(DiskFolder::open(&path)?, ALL)?.0) } else { None };
    Ok(std::iter::from_fn(move || {
        let log = log.as_mut()?;
        while let Some(lent) = log.lend(1, usize::MAX, 0).pop() {
            log.acknowledge(lent.sequence);
            if let Some(record) = decode(lent) {
                return Some(record);
            }
        }
        None
    }))
}

/// For those who only read.
const ALL: Limits =
    Limits { max_size: u64::MAX, max_age: Duration::MAX, when_full: WhenFull::Reject, memory: 0, max_lent: usize::MAX };

/// The rejected records of a queue that is in no other use.
#[derive(Debug)]
pub struct RejectedRecords {
    log: Log<DiskFolder>,
    last: Option<u64>,
    /// That of the queue.
    _lock: fs::File,
}

impl RejectedRecords {
    pub(crate) fn open(queue: &Path, lock: fs::File) -> io::Result<Self> {
        Ok(Self { log: Log::open(DiskFolder::open(&queue.join(FOLDER))?, ALL)?.0, last: None, _lock: lock })
    }

    /// The oldest one that is left.
    pub fn borrow(&mut self) -> Option<RejectedRecord> {
        loop {
            let lent = self.log.lend(1, usize::MAX, 0).pop()?;
            self.last = Some(lent.sequence);
            match decode(lent) {
                Some(record) => return Some(record),
                None => self.acknowledge(),
            }
        }
    }

    /// Whoever borrowed last is done with it.
    pub fn acknowledge(&mut self) {
        if let Some(sequence) = self.last.take() {
            self.log.acknowledge(sequence);
        }
    }

    /// Makes durable what was acknowledged.
    ///
    /// # Errors
    /// The disk does not take it.
    pub fn save(mut self) -> io::Result<()> {
        let now = crate::writer::milliseconds(SystemTime::now());
        if !self.log.save_position(now) {
            return Err(io::Error::other("what was dealt with cannot be noted on disk"));
        }
        self.log.sweep();
        Ok(())
    }
}

fn decode(Lent { time, payload, .. }: Lent) -> Option<RejectedRecord> {
    let mut rest = payload;
    let length = usize::try_from(rest.try_get_u32_le().ok()?).ok()?;
    let reason = (rest.len() >= length).then(|| rest.split_to(length))?;
    let time = UNIX_EPOCH + Duration::from_millis(time);
    Some(RejectedRecord { reason: String::from_utf8_lossy(&reason).into_owned(), time, payload: rest })
}

/// The length of the reason as a little-endian `u32`, the reason, the payload as it was.
fn encode(reason: &str, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(4 + reason.len() + payload.len());
    bytes.put_u32_le(u32::try_from(reason.len()).unwrap_or(u32::MAX));
    bytes.put_slice(reason.as_bytes());
    bytes.put_slice(payload);
    bytes.freeze()
}
