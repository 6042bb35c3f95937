//! The stacks of one collection, made into a profile for each process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use profiler_core::collection::{Kind, Names, ProfileBuilder};
use profiler_core::labels::Labels;
use profiler_core::pprof::gzip;
use profiler_core::sampler::Trace;
use prost::Message;

use super::plan::Plan;
use super::selection::{Selector, Series};
use crate::pipeline::{Budget, Share};

/// What came of one collection.
#[derive(Default)]
pub(super) struct Harvest {
    pub(super) profiles: Vec<Built>,
    pub(super) tally: Tally,
    /// Profiles for which there was no memory.
    pub(super) unpaid: u64,
}

/// A profile to be sent.
pub(super) struct Built {
    pub(super) pid: u32,
    pub(super) series: Arc<Series>,
    pub(super) labels: Labels,
    pub(super) bytes: Bytes,
    /// Times that the process was seen.
    pub(super) samples: u64,
    pub(super) memory: Share,
}

/// What the stacks were made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Frames by kind.
    pub(super) frames: BTreeMap<&'static str, u64>,
    /// Stacks by why their walk ended.
    pub(super) ends: BTreeMap<&'static str, u64>,
    /// Samples of processes without a target.
    pub(super) of_no_target: u64,
}

/// How a collection becomes profiles.
pub(super) struct Press<'a> {
    pub(super) plan: &'a Plan,
    pub(super) selector: &'a Selector,
    pub(super) names: &'a dyn Names,
    /// Of what was sampled on the CPU.
    pub(super) sample_rate: u32,
    pub(super) budget: &'a Budget,
    /// How long was sampled.
    pub(super) duration: Duration,
}

/// What the stacks of a profile have in common.
struct Kinship<'a> {
    pid: u32,
    kind: Kind,
    series: &'a Arc<Series>,
    samples: u64,
}

impl Press<'_> {
    /// One profile for each process and kind.
    pub(super) fn harvest(&self, mut traces: Vec<Trace>) -> Harvest {
        let mut harvest = Harvest::default();
        let key = |trace: &Trace| (trace.pid, trace.origin.text());
        traces.sort_by_key(key);
        for traces in traces.chunk_by(|one, next| key(one) == key(next)) {
            let samples = traces.iter().map(|trace| trace.count).sum();
            let Some(Trace { pid, origin, .. }) = traces.first() else { continue };
            let (pid, kind) = (*pid, Kind::of(*origin, self.sample_rate));
            let series = self.plan.selection.series(pid, || self.selector.container(pid));
            let Some(series) = series else {
                harvest.tally.of_no_target += samples;
                continue;
            };
            harvest.tally.add(traces);
            self.press(&Kinship { pid, kind, series, samples }, traces, &mut harvest);
        }
        harvest
    }

    fn press(&self, of: &Kinship<'_>, traces: &[Trace], harvest: &mut Harvest) {
        let Kinship { pid, kind, series, samples } = *of;
        let mut builder = ProfileBuilder::new(kind, self.plan.style, self.names);
        for trace in traces {
            builder.add(trace);
        }
        if builder.is_empty() {
            return;
        }
        let message = builder.finish(SystemTime::now(), self.duration).encode_to_vec();
        // Neither fails: labels have room for a name, and memory takes what is written to it.
        let (Ok(bytes), Ok(labels)) = (gzip(&message), series.of_profile(kind.series())) else {
            harvest.unpaid += 1;
            return;
        };
        let Some(memory) = self.budget.take(bytes.len()) else {
            harvest.unpaid += 1;
            return;
        };
        let series = series.clone();
        harvest.profiles.push(Built { pid, series, labels, bytes: bytes.into(), samples, memory });
    }
}

impl Tally {
    fn add(&mut self, traces: &[Trace]) {
        for trace in traces {
            *self.ends.entry(trace.stop.text()).or_default() += trace.count;
            if !trace.kernel.is_empty() {
                *self.frames.entry("kernel").or_default() += trace.kernel.len() as u64 * trace.count;
            }
            for frame in &trace.user {
                *self.frames.entry(frame.kind.text()).or_default() += trace.count;
            }
        }
    }
}
