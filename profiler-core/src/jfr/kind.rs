//! What profiles are made of a recording.

/// A kind of profile: under which name it is sent, and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Time on a CPU.
    Cpu,
    /// Wall-clock time.
    Wall,
    /// Allocations for which a thread took new memory.
    AllocInNewTlab,
    /// Allocations too large for what a thread takes at once.
    AllocOutsideTlab,
    /// Allocations, of which some were looked at.
    AllocSample,
    /// Objects that were still there at the end.
    Live,
    /// Memory that native code took; what it gave back is not taken off.
    Malloc,
    /// Waiting for monitors.
    Mutex,
    /// Waiting, parked by locks and queues.
    Block,
}

/// A name and a unit.
pub type Measure = (&'static str, &'static str);

impl Kind {
    /// All kinds, those first that most people look at first.
    pub const ALL: [Self; 9] = [
        Self::Cpu,
        Self::Wall,
        Self::AllocInNewTlab,
        Self::AllocOutsideTlab,
        Self::AllocSample,
        Self::Live,
        Self::Malloc,
        Self::Mutex,
        Self::Block,
    ];

    /// The kind of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name here.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wall => "wall",
            Self::AllocInNewTlab => "alloc_in_new_tlab",
            Self::AllocOutsideTlab => "alloc_outside_tlab",
            Self::AllocSample => "alloc_sample",
            Self::Live => "live",
            Self::Malloc => "malloc",
            Self::Mutex => "mutex",
            Self::Block => "block",
        }
    }

    /// The name of the profile's series, the label `__name__`.
    pub fn metric(self) -> &'static str {
        match self {
            Self::Cpu => "process_cpu",
            Self::Wall => "wall",
            Self::Mutex => "mutex",
            Self::Block => "block",
            _ => "memory",
        }
    }

    /// What its samples say.
    pub fn sample_types(self) -> &'static [Measure] {
        match self {
            Self::Cpu => &[("cpu", "nanoseconds")],
            Self::Wall => &[("wall", "nanoseconds")],
            Self::AllocInNewTlab => &[("alloc_in_new_tlab_objects", "count"), ("alloc_in_new_tlab_bytes", "bytes")],
            Self::AllocOutsideTlab => &[("alloc_outside_tlab_objects", "count"), ("alloc_outside_tlab_bytes", "bytes")],
            Self::AllocSample => &[("alloc_sample_objects", "count"), ("alloc_sample_bytes", "bytes")],
            Self::Live => &[("live", "count")],
            Self::Malloc => &[("malloc_objects", "count"), ("malloc_bytes", "bytes")],
            Self::Mutex | Self::Block => &[("contentions", "count"), ("delay", "nanoseconds")],
        }
    }

    /// What lies between two samples; of allocations of native code nobody says so.
    pub fn period_type(self) -> Option<Measure> {
        match self {
            Self::Cpu => Some(("cpu", "nanoseconds")),
            Self::Wall => Some(("wall", "nanoseconds")),
            Self::AllocInNewTlab | Self::AllocOutsideTlab | Self::AllocSample => Some(("space", "bytes")),
            Self::Live => Some(("objects", "count")),
            Self::Malloc => None,
            Self::Mutex => Some(("mutex", "count")),
            Self::Block => Some(("block", "count")),
        }
    }
}
