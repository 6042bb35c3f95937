//! The last profiles of each series, kept in memory for people to look at.
//!
//! A profile's bytes are copied, and its [`Origin`](crate::pipeline::Origin) is not kept: they are slices of a whole request,
//! whose memory would stay for as long as the smallest of its profiles, and would count in the budget of a listener that has
//! to take the next one. Copying takes some microseconds. Nothing is decoded before someone looks.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use profiler_core::labels::Labels;
use rapidhash::fast::RandomState;

use crate::pipeline::{Body, IngestBody, Profile, RawSample};

mod open;
mod selector;
#[cfg(test)]
mod tests;

pub use open::{NotDrawable, open};
pub use selector::{Selector, SelectorError};

/// Profiles in a store, and with them the time that a look takes.
const MOST_PROFILES: usize = 100_000;
/// Different label sets in a store.
const MOST_SERIES: usize = 10_000;
/// What a profile takes besides its bytes: its place, its samples' heads, and what the allocator adds.
const OVERHEAD: usize = 256;

/// How much is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How long.
    pub keep: Duration,
    /// Bytes of all profiles and labels together.
    pub max_memory: usize,
}

/// A profile that is kept. Clones share everything.
#[derive(Debug, Clone)]
pub struct Kept {
    /// When it came.
    pub arrived: SystemTime,
    /// Its series.
    pub labels: Labels,
    /// The profile, as it came.
    pub body: Body,
}

/// What is known of a series without opening its profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// Its labels.
    pub labels: Labels,
    /// Profiles that came in the time that was asked for.
    pub profiles: u64,
    /// Their bytes, as they came.
    pub bytes: u64,
    /// When the last one came.
    pub last: SystemTime,
}

/// How full a store is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fill {
    /// Profiles that are kept.
    pub profiles: usize,
    /// Their label sets.
    pub series: usize,
    /// Bytes of both.
    pub bytes: usize,
    /// Profiles that made room for newer ones before their time.
    pub evicted: u64,
    /// Profiles that are larger than all the room there is.
    pub too_large: u64,
    /// When the eldest came.
    pub eldest: Option<SystemTime>,
}

/// Profiles of some time, bounded by number and bytes; the eldest go first.
#[derive(Debug)]
pub struct Store(Mutex<Shelf>);

#[derive(Debug)]
struct Shelf {
    limits: Limits,
    /// In the order in which they came.
    profiles: VecDeque<Kept>,
    /// How many profiles of each series there are.
    series: HashMap<Labels, usize, RandomState>,
    bytes: usize,
    evicted: u64,
    too_large: u64,
}

impl Store {
    /// An empty one.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self(Mutex::new(Shelf {
            limits,
            profiles: VecDeque::new(),
            series: HashMap::default(),
            bytes: 0,
            evicted: 0,
            too_large: 0,
        }))
    }

    /// Keeps this much from now on.
    pub fn set_limits(&self, limits: Limits) {
        let mut shelf = self.locked();
        shelf.limits = limits;
        shelf.make_room(0, SystemTime::now());
    }

    /// Keeps a profile.
    pub fn keep(&self, profile: &Profile, arrived: SystemTime) {
        // Before the lock is taken.
        let kept = Kept { arrived, labels: profile.labels.clone(), body: copy(&profile.body) };
        self.locked().push(kept);
    }

    /// The profiles of a selection that came from one time up to another, the last one first.
    #[must_use]
    pub fn select(&self, selector: &Selector, from: SystemTime, until: SystemTime) -> Vec<Kept> {
        let shelf = self.current();
        let within = |kept: &&Kept| (from..=until).contains(&kept.arrived) && selector.matches(&kept.labels);
        shelf.profiles.iter().rev().filter(within).cloned().collect()
    }

    /// The series that came since a time, those that sent most bytes first.
    #[must_use]
    pub fn series_since(&self, since: SystemTime) -> Vec<Series> {
        let shelf = self.current();
        let mut series: HashMap<&Labels, Series, RandomState> = HashMap::default();
        for kept in shelf.profiles.iter().rev().take_while(|kept| kept.arrived >= since) {
            let new = || Series { labels: kept.labels.clone(), profiles: 0, bytes: 0, last: kept.arrived };
            let of = series.entry(&kept.labels).or_insert_with(new);
            of.profiles += kept.body.profile_count() as u64;
            of.bytes += kept.body.byte_len() as u64;
        }
        let mut series: Vec<Series> = series.into_values().collect();
        drop(shelf);
        series.sort_by(|a, b| {
            (b.bytes, b.profiles).cmp(&(a.bytes, a.profiles)).then_with(|| a.labels.text().cmp(b.labels.text()))
        });
        series
    }

    /// How full it is.
    #[must_use]
    pub fn fill(&self) -> Fill {
        let shelf = self.current();
        Fill {
            profiles: shelf.profiles.len(),
            series: shelf.series.len(),
            bytes: shelf.bytes,
            evicted: shelf.evicted,
            too_large: shelf.too_large,
            eldest: shelf.profiles.front().map(|kept| kept.arrived),
        }
    }

    /// Without what is too old by now.
    fn current(&self) -> MutexGuard<'_, Shelf> {
        let mut shelf = self.locked();
        shelf.make_room(0, SystemTime::now());
        shelf
    }

    fn locked(&self) -> MutexGuard<'_, Shelf> {
        // Whoever panicked under the lock left counts that are at worst off by one profile.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn push(&mut self, kept: Kept) {
        let bytes = kept.bytes();
        let for_labels = kept.labels.byte_len();
        if bytes + for_labels > self.limits.max_memory {
            self.too_large += 1;
            return;
        }
        self.make_room(bytes + for_labels, kept.arrived);
        let of_series = self.series.entry(kept.labels.clone()).or_default();
        *of_series += 1;
        // Clones of a label set share it: it counts once.
        self.bytes += bytes + if *of_series == 1 { for_labels } else { 0 };
        self.profiles.push_back(kept);
    }

    fn make_room(&mut self, bytes: usize, now: SystemTime) {
        while let Some(eldest) = self.profiles.front() {
            let age = now.duration_since(eldest.arrived).unwrap_or_default();
            let is_old = age > self.limits.keep;
            let is_full = self.bytes + bytes > self.limits.max_memory
                || bytes > 0 && (self.profiles.len() >= MOST_PROFILES || self.series.len() >= MOST_SERIES);
            if !is_old && !is_full {
                return;
            }
            self.evicted += u64::from(!is_old);
            self.pop();
        }
    }

    fn pop(&mut self) {
        let Some(kept) = self.profiles.pop_front() else { return };
        self.bytes -= kept.bytes();
        if let Some(left) = self.series.get_mut(&kept.labels) {
            *left -= 1;
            if *left == 0 {
                self.series.remove(&kept.labels);
                self.bytes -= kept.labels.byte_len();
            }
        }
    }
}

impl Kept {
    /// Bytes of memory that are its own.
    fn bytes(&self) -> usize {
        let besides = match &self.body {
            Body::Pprof(samples) => samples.len() * size_of::<RawSample>(),
            Body::Ingest(ingest) => {
                ingest.query.len() + ingest.content_types.iter().map(http::HeaderValue::len).sum::<usize>()
            }
        };
        OVERHEAD + besides + self.body.byte_len()
    }
}

/// The same in memory of its own.
fn copy(body: &Body) -> Body {
    match body {
        Body::Pprof(samples) => {
            let copy =
                |sample: &RawSample| RawSample { id: Bytes::new(), profile: Bytes::copy_from_slice(&sample.profile) };
            Body::Pprof(samples.iter().map(copy).collect())
        }
        Body::Ingest(ingest) => Body::Ingest(Arc::new(IngestBody {
            query: ingest.query.clone(),
            content_types: ingest.content_types.clone(),
            bytes: Bytes::copy_from_slice(&ingest.bytes),
        })),
    }
}
