//! What is counted of a collection.

use profiler_core::kernel::{Counters, FrameKind, RuntimeWalk, Stop, Unwinder};
use profiler_core::sampler::Statistics;

use super::build::{Harvest, Tally};
use crate::telemetry::metrics::{EbpfMetrics, ProfilerCounter};

/// Counts what came of a collection.
pub(super) fn count_harvest(metrics: &EbpfMetrics, harvest: &Harvest) {
    let Tally { frames, ends, .. } = &harvest.tally;
    for (kind, count) in frames {
        metrics.frames(kind, *count);
    }
    for (end, count) in ends {
        metrics.stacks(end, *count);
    }
    for (counter, kind) in [
        (ProfilerCounter::NativeFrames, FrameKind::Native),
        (ProfilerCounter::PythonFrames, FrameKind::Python),
        (ProfilerCounter::HotspotFrames, FrameKind::HotSpot),
        (ProfilerCounter::V8Frames, FrameKind::V8),
        (ProfilerCounter::RubyFrames, FrameKind::Ruby),
        (ProfilerCounter::PerlFrames, FrameKind::Perl),
        (ProfilerCounter::PhpFrames, FrameKind::Php),
        (ProfilerCounter::DotnetFrames, FrameKind::DotNet),
    ] {
        metrics.profiler(counter, frames.get(kind.text()).copied().unwrap_or(0));
    }
    metrics.dropped.add(harvest.unpaid);
    for profile in &harvest.profiles {
        metrics.made(&profile.series.service_name, profile.bytes.len(), profile.samples);
    }
}

/// Counts what the sampler counted since `before`.
pub(super) fn count_statistics(metrics: &EbpfMetrics, before: &Statistics, now: &Statistics) {
    let since = |of: fn(&Counters) -> u64| of(&now.kernel).saturating_sub(of(&before.kernel));
    metrics.lost("ring_buffer_full", since(|counters| counters.lost));
    metrics.lost("probes_collided", since(|counters| counters.collided));
    metrics.lost("too_many_stacks", now.dropped.saturating_sub(before.dropped));
    metrics.unlabelled("labels_cut", since(|counters| counters.labels_cut));
    metrics.unlabelled("too_many_sets", now.unlabelled.saturating_sub(before.unlabelled));
    metrics.tables(now.tables);
    metrics.profiler(ProfilerCounter::Began, now.began.saturating_sub(before.began));
    metrics.profiler(ProfilerCounter::Ended, now.ended.saturating_sub(before.ended));
    metrics.profiler(ProfilerCounter::Announced, since(|counters| counters.announced));
    metrics.profiler(ProfilerCounter::UnknownMapping, since(|counters| counters.stale));
    for (unwinder, walk, counter) in RUNTIME_WALKS {
        let of = |statistics: &Statistics| statistics.kernel.runtime_walks(unwinder, walk);
        metrics.profiler(counter, of(now).saturating_sub(of(before)));
    }
    for stop in Stop::ALL {
        let more = now.kernel.stopped(*stop).saturating_sub(before.kernel.stopped(*stop));
        if !matches!(stop, Stop::KernelThread | Stop::NoProcess | Stop::Compat) {
            metrics.profiler(ProfilerCounter::NativeAttempts, more);
        }
        if let Some(counter) = counter_of(*stop) {
            metrics.profiler(counter, more);
        }
    }
}

/// The reference's names for what became of looking for runtimes' frames.
const RUNTIME_WALKS: [(Unwinder, RuntimeWalk, ProfilerCounter); 18] = [
    (Unwinder::PYTHON, RuntimeWalk::Entered, ProfilerCounter::PythonAttempts),
    (Unwinder::PYTHON, RuntimeWalk::NoProcess, ProfilerCounter::PythonNoProcess),
    (Unwinder::PYTHON, RuntimeWalk::NoThread, ProfilerCounter::PythonNoThread),
    (Unwinder::PYTHON, RuntimeWalk::OtherThread, ProfilerCounter::PythonOtherThread),
    (Unwinder::PYTHON, RuntimeWalk::Unreadable, ProfilerCounter::PythonUnreadable),
    (Unwinder::HOTSPOT, RuntimeWalk::Entered, ProfilerCounter::HotspotAttempts),
    (Unwinder::HOTSPOT, RuntimeWalk::NoProcess, ProfilerCounter::HotspotNoProcess),
    (Unwinder::HOTSPOT, RuntimeWalk::OtherThread, ProfilerCounter::HotspotNoBlob),
    (Unwinder::HOTSPOT, RuntimeWalk::Unreadable, ProfilerCounter::HotspotUnreadable),
    (Unwinder::V8, RuntimeWalk::Entered, ProfilerCounter::V8Attempts),
    (Unwinder::V8, RuntimeWalk::NoProcess, ProfilerCounter::V8NoProcess),
    (Unwinder::V8, RuntimeWalk::Unreadable, ProfilerCounter::V8Unreadable),
    (Unwinder::RUBY, RuntimeWalk::Entered, ProfilerCounter::RubyAttempts),
    (Unwinder::PERL, RuntimeWalk::Entered, ProfilerCounter::PerlAttempts),
    (Unwinder::PHP, RuntimeWalk::Entered, ProfilerCounter::PhpAttempts),
    (Unwinder::DOTNET, RuntimeWalk::Entered, ProfilerCounter::DotnetAttempts),
    (Unwinder::DOTNET, RuntimeWalk::NoProcess, ProfilerCounter::DotnetNoProcess),
    (Unwinder::DOTNET, RuntimeWalk::Unreadable, ProfilerCounter::DotnetUnreadable),
];

/// The reference's name for why a walk ended, where it has one.
fn counter_of(stop: Stop) -> Option<ProfilerCounter> {
    Some(match stop {
        Stop::Complete => ProfilerCounter::StopDeltas,
        Stop::NoMapping => ProfilerCounter::WrongTextSection,
        Stop::NoInformation => ProfilerCounter::InvalidDelta,
        Stop::NoTable => ProfilerCounter::NoTable,
        Stop::Unreadable => ProfilerCounter::UnreadableStack,
        Stop::TooDeep => ProfilerCounter::TooDeep,
        _ => return None,
    })
}
