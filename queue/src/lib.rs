//! A queue of byte strings on disk, first in, first out.
//!
//! [`Queue::append`] returns when the record is durable; many appends share a sync. [`Queue::borrow`] lends the oldest
//! records, to several borrowers at a time; a [`Record`] is acknowledged, rejected, or goes back when it is dropped.
//! After a crash all is lent again that was not acknowledged; damage is passed over and counted. The layout of the files
//! is described in `docs/queue-format.md`.

mod files;
mod format;
mod limits;
mod log;
mod queue;
mod queues;
mod rejected;
mod walk;
mod writer;

pub use limits::{AppendError, Limits, MIN_SIZE, Recovered, Stats, WhenFull};
pub use queue::{Queue, Record};
pub use queues::{Found, OpenError, Orphan, Queues};
pub use rejected::{RejectedRecord, RejectedRecords, read_rejected};
