//! The `sending_queue` block.

use alloy_syntax::{Arguments, Invalid};

use crate::upstream::otlp::QueueSettings;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = SendingQueueArguments::validate)]
#[alloy(unsupported("batch", "block_on_overflow", "blocking", "sizer", "storage", "wait_for_result"))]
pub(super) struct SendingQueueArguments {
    /// Whether batches wait in a queue; else the next batch waits until this one is answered.
    #[alloy(attr, default = true)]
    enabled: bool,
    /// Batches that are sent side by side.
    #[alloy(attr, default = 10)]
    num_consumers: i64,
    /// Batches that wait, each of up to 512 spans; more are dropped.
    #[alloy(attr, default = 1000)]
    queue_size: i64,
}

/// Larger numbers are a mistake: nobody has that much memory, nor a server for so many requests at once.
const MAX_SIZE: i64 = 1_000_000;
const MAX_CONSUMERS: i64 = 1000;

impl SendingQueueArguments {
    pub(super) fn settings(&self) -> Result<Option<QueueSettings>, Invalid> {
        let bounded = |name, number: i64, most| {
            let fits = usize::try_from(number).ok().filter(|_| (1..=most).contains(&number));
            fits.ok_or_else(|| Invalid::attribute(name, format!("must be from 1 to {most}")))
        };
        if !self.enabled {
            return Ok(None);
        }
        let size = bounded("queue_size", self.queue_size, MAX_SIZE)?;
        Ok(Some(QueueSettings { size, consumers: bounded("num_consumers", self.num_consumers, MAX_CONSUMERS)? }))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.settings().map(drop)
    }
}
