//! A recording, made into the profiles that are sent of it. Takes its time.

use std::time::{Duration, Instant};

use bytes::Bytes;
use profiler_core::java::{End, Recording};
use profiler_core::jfr::{Converted, JfrProfile, Options, convert};
use profiler_core::labels::Labels;
use profiler_core::pprof::Packing;

use super::failure::Failure;
use super::plan::Order;
use super::series::Series;
use crate::pipeline::{Budget, Share};

/// What came of a recording.
pub(super) struct Harvest {
    pub(super) profiles: Vec<Built>,
    pub(super) converted: Converted,
    pub(super) took: Duration,
    /// Why there is no more of it.
    pub(super) failures: Vec<Failure>,
}

/// A profile to be sent.
pub(super) struct Built {
    pub(super) name: &'static str,
    pub(super) labels: Labels,
    pub(super) bytes: Bytes,
    pub(super) memory: Share,
}

impl Harvest {
    /// A profile for each kind. What is damaged, or for what there is no memory, is left out.
    ///
    /// # Errors
    /// Nothing of the recording can be read.
    pub(super) fn of(recording: Recording, order: &Order, budget: &Budget) -> Result<Self, Failure> {
        let began = Instant::now();
        let is_damaged = match recording.end() {
            End::WithTarget => Failure::EndedBefore,
            End::Stopped | End::Before => Failure::Recording,
        };
        let file = recording.into_file().map_err(Failure::File)?;
        let options = Options { threads: order.settings.threads, ..Options::default() };
        let mut converted = convert(&file, &options).map_err(is_damaged)?;
        let mut failures: Vec<Failure> = converted.broken.take().into_iter().map(is_damaged).collect();
        let event = converted.settings.event.as_deref().unwrap_or_default();
        let mut profiles = Vec::new();
        for profile in converted.profiles(Packing::Gzip) {
            match profile.map_err(Failure::File).and_then(|profile| Built::of(profile, event, &order.series, budget)) {
                Ok(profile) => profiles.push(profile),
                Err(failure) => failures.push(failure),
            }
        }
        Ok(Self { profiles, converted, took: began.elapsed(), failures })
    }
}

impl Built {
    fn of(profile: JfrProfile, event: &str, series: &Series, budget: &Budget) -> Result<Self, Failure> {
        let name = profile.kind.metric();
        let bytes = Bytes::from(profile.pprof);
        let memory = budget.take(bytes.len()).ok_or(Failure::NoMemory(bytes.len()))?;
        Ok(Self { name, labels: series.of_profile(name, event)?, bytes, memory })
    }
}
