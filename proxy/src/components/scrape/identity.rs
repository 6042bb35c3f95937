//! What tells one scrape from another, and when each has its turn.

use std::hash::Hasher;
use std::time::{Duration, SystemTime};

use fnv::FnvHasher;
use twox_hash::XxHash64;

/// Prometheus' hash of a label set, which is the same in every process.
pub(super) fn stable_hash<'a>(labels: impl Iterator<Item = (&'a str, &'a str)>) -> u64 {
    let mut hasher = XxHash64::with_seed(0);
    for part in labels.flat_map(<[&str; 2]>::from) {
        hasher.write(part.as_bytes());
        hasher.write(b"\xff");
    }
    hasher.finish()
}

/// Of the same labels and the same URL there is one scrape.
pub(super) fn identity<'a>(public_labels: impl Iterator<Item = (&'a str, &'a str)>, url: &str) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(format!("{:x}", stable_hash(public_labels)).as_bytes());
    hasher.write(url.as_bytes());
    hasher.finish()
}

/// The time until the ticks of a scrape begin, which spreads all over the interval; the first one comes an interval
/// later.
pub(super) fn offset(identity: u64, interval: Duration, now: SystemTime) -> Duration {
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    let interval = nanos(interval).max(1);
    let now = nanos(now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default());
    let next = (now % interval).saturating_add(identity % interval);
    Duration::from_nanos(if next > interval { next - interval } else { next })
}
