//! What backends refused: a log beside the queue, of the same form, that drops its oldest records when it is full.

use std::io;
use std::path::{Path, PathBuf};

use bytes::{BufMut, Bytes, BytesMut};

use crate::files::DiskFolder;
use crate::limits::{AppendError, Limits, WhenFull};
use crate::log::{Log, Payload};

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

/// The length of the reason as a little-endian `u32`, the reason, the payload as it was.
fn encode(reason: &str, payload: &[u8]) -> Bytes {
    let mut bytes = BytesMut::with_capacity(4 + reason.len() + payload.len());
    bytes.put_u32_le(u32::try_from(reason.len()).unwrap_or(u32::MAX));
    bytes.put_slice(reason.as_bytes());
    bytes.put_slice(payload);
    bytes.freeze()
}
