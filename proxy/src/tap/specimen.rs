//! A copy of a profile, to tell what kinds of values are in it. It is opened by who looks, never by who serves, and only as
//! long as that takes a small part of the time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use bytes::Bytes;
use profiler_core::pprof::{Outline, decompress};

use crate::pipeline::Body;
use crate::wire::ingest::Samples;

/// Larger profiles are not copied.
const MOST_BYTES: usize = 512 << 10;
/// Bytes of all copies of a process together.
const MOST_HELD: usize = 16 << 20;
/// Bytes of one once it is unpacked.
const MOST_UNPACKED: usize = 8 << 20;
/// Of the time of a tap, at most a tenth is spent on opening, and this at its beginning.
const SHARE: u32 = 10;
const ADVANCE: Duration = Duration::from_millis(200);

/// Bytes of all copies.
#[derive(Debug, Default)]
pub(super) struct Held(AtomicUsize);

/// A pprof.
#[derive(Debug)]
pub(super) struct Specimen {
    pprof: Bytes,
    held: Arc<Held>,
    sample_types: OnceLock<Vec<String>>,
}

/// What a tap has spent on opening.
#[derive(Debug)]
pub struct Opening {
    began: Instant,
    spent: Duration,
}

#[cfg(test)]
impl Held {
    pub(super) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Specimen {
    /// Of the first profile of a body; none where it is no pprof, or where there is no room for it.
    pub(super) fn of(body: &Body, held: &Arc<Held>) -> Option<Self> {
        let pprof = match body {
            Body::Pprof(samples) => &samples.first()?.profile,
            Body::Ingest(ingest) => {
                let content_type = ingest.content_types.first().map_or(&b""[..], |value| value.as_bytes());
                (Samples::of(&ingest.query, content_type) == Samples::Pprof).then_some(&ingest.bytes)?
            }
        };
        let room = |held: usize| held.checked_add(pprof.len()).filter(|after| *after <= MOST_HELD);
        if pprof.len() > MOST_BYTES || held.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).is_err() {
            return None;
        }
        // A slice would keep the whole request, and its share of a listener's memory.
        let pprof = Bytes::copy_from_slice(pprof);
        Some(Self { pprof, held: held.clone(), sample_types: OnceLock::new() })
    }

    pub(super) fn sample_types(&self, opening: &mut Opening) -> &[String] {
        if let Some(known) = self.sample_types.get() {
            return known;
        }
        opening.spend(|| self.sample_types.get_or_init(|| read(&self.pprof))).map_or(&[], Vec::as_slice)
    }
}

/// None of what is damaged, or too large.
fn read(pprof: &Bytes) -> Vec<String> {
    let outline = decompress(pprof, MOST_UNPACKED).ok().and_then(|message| Outline::read(&message).ok());
    outline.map(|outline| outline.sample_types).unwrap_or_default()
}

impl Drop for Specimen {
    fn drop(&mut self) {
        self.held.0.fetch_sub(self.pprof.len(), Ordering::Relaxed);
    }
}

impl Default for Opening {
    fn default() -> Self {
        Self { began: Instant::now(), spent: Duration::ZERO }
    }
}

impl Opening {
    /// Does it, unless too much time was spent already.
    fn spend<T>(&mut self, open: impl FnOnce() -> T) -> Option<T> {
        let before = Instant::now();
        if self.spent * SHARE > (before - self.began) + ADVANCE * SHARE {
            return None;
        }
        let opened = open();
        self.spent += before.elapsed();
        Some(opened)
    }
}
