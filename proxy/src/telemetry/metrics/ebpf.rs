//! `pyroscope_ebpf_*`, `flamegate_ebpf_*`, and what the reference's profiler counts of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::{ComponentLabels, Counter, IntGauge, counters, gauges};

/// Names of services of one component that become a label of their own. Configurations choose them.
const MOST_SERVICES: usize = 1_000;
/// All further ones.
const OTHER_SERVICES: &str = "other";
const PROFILER: &str = "pyroscope.ebpf";

/// What the profiler counts of itself, under the names of OpenTelemetry's. A series is there once it was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProfilerCounter {
    /// Walks up a stack of user space.
    NativeAttempts,
    /// Frames of machine code.
    NativeFrames,
    /// Walks that reached the outermost frame.
    StopDeltas,
    /// Walks that met an address outside of all known mappings.
    WrongTextSection,
    /// Walks that met an address without unwind information.
    InvalidDelta,
    /// Walks that met a file whose table is gone.
    NoTable,
    /// Walks that met a stack which is not in memory.
    UnreadableStack,
    /// Stacks deeper than are kept.
    TooDeep,
    /// Processes that began to be unwound.
    Began,
    /// Processes that were unwound and are gone, or no target's any more.
    Ended,
    /// Times that the kernel announced an unknown process.
    Announced,
    /// Times that a process had mappings which were not known.
    UnknownMapping,
    /// Frames of Python.
    PythonFrames,
    /// Stacks in which a thread's frames of Python were found.
    PythonAttempts,
    /// Stacks with Python of a process of which nothing was known any more.
    PythonNoProcess,
    /// Stacks with Python of threads that Python did not know.
    PythonNoThread,
    /// Stacks with Python in which another thread's state was found.
    PythonOtherThread,
    /// Stacks in which a frame of Python could not be read.
    PythonUnreadable,
    /// Frames of HotSpot.
    HotspotFrames,
    /// Stacks with frames of HotSpot.
    HotspotAttempts,
    /// Stacks with HotSpot of a process of which nothing was known any more.
    HotspotNoProcess,
    /// Addresses in HotSpot's code cache where there is no blob.
    HotspotNoBlob,
    /// Stacks in which a frame of HotSpot could not be read.
    HotspotUnreadable,
    /// Frames of V8.
    V8Frames,
    /// Stacks in which there was V8's code.
    V8Attempts,
    /// Stacks with V8's code of a process of which nothing was known any more.
    V8NoProcess,
    /// Stacks in which a frame of V8 could not be read.
    V8Unreadable,
    /// Frames of Ruby.
    RubyFrames,
    /// Stacks in which a thread's frames of Ruby were found.
    RubyAttempts,
    /// Frames of Perl.
    PerlFrames,
    /// Stacks in which a thread's frames of Perl were found.
    PerlAttempts,
    /// Frames of PHP.
    PhpFrames,
    /// Stacks in which frames of PHP were found.
    PhpAttempts,
    /// Frames of .NET.
    DotnetFrames,
    /// Stacks with code of .NET.
    DotnetAttempts,
    /// Stacks with code of .NET of a process of which nothing was known any more.
    DotnetNoProcess,
    /// Stacks in which a frame of .NET could not be read.
    DotnetUnreadable,
}

impl ProfilerCounter {
    const ALL: [(Self, &'static str, &'static str); 37] = [
        (Self::NativeAttempts, "UnwindNativeAttempts_total", "Walks up a stack of user space"),
        (Self::NativeFrames, "UnwindNativeFrames_total", "Frames of machine code"),
        (Self::StopDeltas, "UnwindNativeStackDeltaStop_total", "Walks that reached the outermost frame"),
        (Self::WrongTextSection, "UnwindNativeErrWrongTextSection_total", "Walks that met an unknown mapping"),
        (Self::InvalidDelta, "UnwindNativeErrStackDeltaInvalid_total", "Walks that met no unwind information"),
        (Self::NoTable, "UnwindNativeErrLookupTextSection_total", "Walks that met a file whose table is gone"),
        (Self::UnreadableStack, "UnwindNativeErrPCRead_total", "Walks that met a stack which is not in memory"),
        (Self::TooDeep, "UnwindErrStackLengthExceeded_total", "Stacks deeper than are kept"),
        (Self::Began, "NumProcNew_total", "Processes that began to be unwound"),
        (Self::Ended, "NumProcExit_total", "Processes that are unwound no more"),
        (Self::Announced, "NumGenericPID_total", "Times that the kernel announced an unknown process"),
        (Self::UnknownMapping, "NumUnknownPC_total", "Times that a process had mappings which were not known"),
        (Self::PythonFrames, "UnwindPythonFrames_total", "Frames of Python"),
        (Self::PythonAttempts, "UnwindPythonAttempts_total", "Stacks in which frames of Python were found"),
        (Self::PythonNoProcess, "UnwindPythonErrNoProcInfo_total", "Stacks with Python of processes not known"),
        (Self::PythonNoThread, "UnwindPythonErrZeroThreadState_total", "Stacks of threads not known to Python"),
        (Self::PythonOtherThread, "UnwindPythonErrReadThreadStateAddr_total", "Stacks with another thread's state"),
        (Self::PythonUnreadable, "UnwindPythonErrBadFrameCodeObjectAddr_total", "Stacks with unreadable frames"),
        (Self::HotspotFrames, "UnwindHotspotFrames_total", "Frames of HotSpot"),
        (Self::HotspotAttempts, "UnwindHotspotAttempts_total", "Stacks with frames of HotSpot"),
        (Self::HotspotNoProcess, "UnwindHotspotErrNoProcInfo_total", "Stacks with HotSpot of processes not known"),
        (Self::HotspotNoBlob, "UnwindHotspotErrNoCodeblob_total", "Addresses where HotSpot has no code"),
        (Self::HotspotUnreadable, "UnwindHotspotErrInvalidCodeblob_total", "Stacks with unreadable frames"),
        (Self::V8Frames, "UnwindV8Frames_total", "Frames of V8"),
        (Self::V8Attempts, "UnwindV8Attempts_total", "Stacks with code of V8"),
        (Self::V8NoProcess, "UnwindV8ErrNoProcInfo_total", "Stacks with V8 of processes not known"),
        (Self::V8Unreadable, "UnwindV8ErrBadFP_total", "Stacks with unreadable frames of V8"),
        (Self::RubyFrames, "UnwindRubyFrames_total", "Frames of Ruby"),
        (Self::RubyAttempts, "UnwindRubyAttempts_total", "Stacks in which frames of Ruby were found"),
        (Self::PerlFrames, "UnwindPerlFrames_total", "Frames of Perl"),
        (Self::PerlAttempts, "UnwindPerlAttempts_total", "Stacks in which frames of Perl were found"),
        (Self::PhpFrames, "UnwindPHPFrames_total", "Frames of PHP"),
        (Self::PhpAttempts, "UnwindPHPAttempts_total", "Stacks in which frames of PHP were found"),
        (Self::DotnetFrames, "UnwindDotnetFrames_total", "Frames of .NET"),
        (Self::DotnetAttempts, "UnwindDotnetAttempts_total", "Stacks with code of .NET"),
        (Self::DotnetNoProcess, "UnwindDotnetErrNoProcInfo_total", "Stacks with .NET of processes not known"),
        (Self::DotnetUnreadable, "UnwindDotnetErrCodeHeader_total", "Stacks with unreadable frames of .NET"),
    ];
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServiceLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    service_name: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EndLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    end: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ProfilerLabels {
    component_id: Arc<str>,
    component_path: Arc<str>,
    otel_scope_name: &'static str,
}

#[derive(Clone)]
pub(super) struct Families {
    active_targets: Family<ComponentLabels, IntGauge>,
    sessions: Family<ComponentLabels, Counter>,
    sessions_failing: Family<ComponentLabels, Counter>,
    dropped: Family<ComponentLabels, Counter>,
    pprofs: Family<ServiceLabels, Counter>,
    pprof_bytes: Family<ServiceLabels, Counter>,
    pprof_samples: Family<ServiceLabels, Counter>,
    frames: Family<KindLabels, Counter>,
    stacks: Family<EndLabels, Counter>,
    lost: Family<ReasonLabels, Counter>,
    unlabelled: Family<ReasonLabels, Counter>,
    profiler: [Family<ProfilerLabels, Counter>; ProfilerCounter::ALL.len()],
    tables: Family<ProfilerLabels, IntGauge>,
    /// By component, the values of labels that have series.
    seen: Arc<Mutex<BTreeMap<ComponentLabels, Seen>>>,
}

#[derive(Default)]
struct Seen {
    services: BTreeSet<Arc<str>>,
    words: BTreeSet<&'static str>,
}

/// The series of one `pyroscope.ebpf`.
#[derive(Clone)]
pub struct EbpfMetrics {
    families: Families,
    component: ComponentLabels,
    /// Targets that can be met.
    pub active_targets: IntGauge,
    /// Sessions that began.
    pub sessions: Counter,
    /// Sessions that could not begin.
    pub sessions_failing: Counter,
    /// Profiles that were not sent.
    pub dropped: Counter,
}

impl Families {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let r = registry;
        Self {
            active_targets: gauges(r, "pyroscope_ebpf_active_targets", "Targets whose processes are profiled"),
            sessions: counters(r, "pyroscope_ebpf_profiling_sessions_total", "Sessions that began"),
            sessions_failing: counters(
                r,
                "pyroscope_ebpf_profiling_sessions_failing_total",
                "Attempts to begin a session that failed",
            ),
            dropped: counters(r, "pyroscope_ebpf_pprofs_dropped_total", "Profiles that could not be sent in time"),
            pprofs: counters(r, "pyroscope_ebpf_pprofs_total", "Profiles made"),
            pprof_bytes: counters(r, "pyroscope_ebpf_pprof_bytes_total", "Bytes of the profiles made"),
            pprof_samples: counters(r, "pyroscope_ebpf_pprof_samples_total", "Samples in the profiles made"),
            frames: counters(r, "flamegate_ebpf_frames_total", "Frames of the stacks collected, by kind"),
            stacks: counters(r, "flamegate_ebpf_stacks_total", "Stacks collected, by why their walk ended"),
            lost: counters(r, "flamegate_ebpf_samples_lost_total", "Samples lost, by why"),
            unlabelled: counters(
                r,
                "flamegate_ebpf_samples_unlabelled_total",
                "Samples without all the labels of their goroutine, by why",
            ),
            profiler: ProfilerCounter::ALL.map(|(_, name, help)| counters(r, name, help)),
            tables: gauges(r, "NumExeIDLoadedToEBPF", "Files whose unwind tables are in the kernel"),
            seen: Arc::default(),
        }
    }

    pub(super) fn of(&self, component: &ComponentLabels) -> EbpfMetrics {
        EbpfMetrics {
            families: self.clone(),
            component: component.clone(),
            active_targets: self.active_targets.get_or_create_owned(component),
            sessions: self.sessions.get_or_create_owned(component),
            sessions_failing: self.sessions_failing.get_or_create_owned(component),
            dropped: self.dropped.get_or_create_owned(component),
        }
    }

    pub(super) fn forget(&self, component: &ComponentLabels) {
        self.active_targets.remove(component);
        self.sessions.remove(component);
        self.sessions_failing.remove(component);
        self.dropped.remove(component);
        let seen = self.seen().remove(component).unwrap_or_default();
        for service in &seen.services {
            let labels = service_labels(component, service);
            self.pprofs.remove(&labels);
            self.pprof_bytes.remove(&labels);
            self.pprof_samples.remove(&labels);
        }
        for word in &seen.words {
            self.frames.remove(&kind_labels(component, word));
            self.stacks.remove(&end_labels(component, word));
            self.lost.remove(&reason_labels(component, word));
            self.unlabelled.remove(&reason_labels(component, word));
        }
        let labels = profiler_labels(component);
        for family in &self.profiler {
            family.remove(&labels);
        }
        self.tables.remove(&labels);
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<ComponentLabels, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EbpfMetrics {
    /// Counts a profile of a service.
    pub fn made(&self, service: &Arc<str>, bytes: usize, samples: u64) {
        let service = {
            let mut seen = self.families.seen();
            let services = &mut seen.entry(self.component.clone()).or_default().services;
            let known = services.contains(service) || services.len() < MOST_SERVICES;
            let service = if known { service.clone() } else { OTHER_SERVICES.into() };
            services.insert(service.clone());
            service
        };
        let labels = service_labels(&self.component, &service);
        self.families.pprofs.get_or_create_owned(&labels).inc();
        self.families.pprof_bytes.get_or_create_owned(&labels).add(bytes as u64);
        self.families.pprof_samples.get_or_create_owned(&labels).add(samples);
    }

    /// Counts frames of a kind.
    pub fn frames(&self, kind: &'static str, more: u64) {
        self.count(&self.families.frames, kind, &kind_labels(&self.component, kind), more);
    }

    /// Counts stacks by why their walk ended.
    pub fn stacks(&self, end: &'static str, more: u64) {
        self.count(&self.families.stacks, end, &end_labels(&self.component, end), more);
    }

    /// Counts samples that were lost.
    pub fn lost(&self, reason: &'static str, more: u64) {
        self.count(&self.families.lost, reason, &reason_labels(&self.component, reason), more);
    }

    /// Counts samples that are there, without labels that they should have.
    pub fn unlabelled(&self, reason: &'static str, more: u64) {
        self.count(&self.families.unlabelled, reason, &reason_labels(&self.component, reason), more);
    }

    /// Counts what the profiler counts of itself.
    pub fn profiler(&self, counter: ProfilerCounter, more: u64) {
        let place = ProfilerCounter::ALL.iter().position(|(other, _, _)| *other == counter);
        let family = place.and_then(|place| self.families.profiler.get(place));
        if let Some(family) = family.filter(|_| more > 0) {
            family.get_or_create_owned(&profiler_labels(&self.component)).add(more);
        }
    }

    /// Shows how many unwind tables are in the kernel.
    pub fn tables(&self, tables: u64) {
        let gauge = self.families.tables.get_or_create_owned(&profiler_labels(&self.component));
        gauge.set(i64::try_from(tables).unwrap_or(i64::MAX));
    }

    /// A series is there once there is something to count.
    fn count<L>(&self, family: &Family<L, Counter>, word: &'static str, labels: &L, more: u64)
    where
        L: Clone + std::hash::Hash + Eq,
    {
        if more > 0 {
            self.families.seen().entry(self.component.clone()).or_default().words.insert(word);
            family.get_or_create_owned(labels).add(more);
        }
    }
}

fn service_labels(component: &ComponentLabels, service_name: &Arc<str>) -> ServiceLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    ServiceLabels { component_id, component_path, service_name: service_name.clone() }
}

fn kind_labels(component: &ComponentLabels, kind: &'static str) -> KindLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    KindLabels { component_id, component_path, kind }
}

fn end_labels(component: &ComponentLabels, end: &'static str) -> EndLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    EndLabels { component_id, component_path, end }
}

fn reason_labels(component: &ComponentLabels, reason: &'static str) -> ReasonLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    ReasonLabels { component_id, component_path, reason }
}

fn profiler_labels(component: &ComponentLabels) -> ProfilerLabels {
    let ComponentLabels { component_id, component_path } = component.clone();
    ProfilerLabels { component_id, component_path, otel_scope_name: PROFILER }
}

#[cfg(test)]
mod tests {
    use super::super::Metrics;
    use super::*;

    #[test]
    fn only_what_was_counted_is_shown_and_all_is_forgotten() {
        let metrics = Metrics::new();
        let component = ComponentLabels::top_level("pyroscope.ebpf.a".into());
        let ebpf = metrics.ebpf(&component);
        ebpf.profiler(ProfilerCounter::NativeFrames, 0);
        ebpf.frames("native", 0);
        assert!(!metrics.text().unwrap().contains("component_id=\"pyroscope.ebpf.a\",kind"));
        ebpf.profiler(ProfilerCounter::NativeFrames, 7);
        ebpf.frames("native", 7);
        ebpf.stacks("complete", 1);
        ebpf.lost("ring buffer full", 1);
        for index in 0..MOST_SERVICES + 10 {
            ebpf.made(&format!("service {index}").into(), 100, 3);
        }
        let text = metrics.text().unwrap();
        let frames = "UnwindNativeFrames_total{component_id=\"pyroscope.ebpf.a\",component_path=\"/\",\
                      otel_scope_name=\"pyroscope.ebpf\"} 7";
        assert!(text.lines().any(|line| line == frames), "{text}");
        let services = text.lines().filter(|line| line.starts_with("pyroscope_ebpf_pprofs_total{"));
        assert_eq!(services.count(), MOST_SERVICES + 1);
        drop(ebpf);
        metrics.forget(&component);
        let text = metrics.text().unwrap();
        assert!(!text.lines().any(|line| line.contains("pyroscope.ebpf.a")), "{text}");
    }
}
