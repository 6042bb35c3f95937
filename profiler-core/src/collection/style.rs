//! What a profile is of, and what is shown in it.

use crate::kernel::Origin;

/// What was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Time on a CPU: each sample stands for the time between two.
    Cpu {
        /// Samples a second.
        sample_rate: u32,
    },
    /// Time off the CPU, in nanoseconds.
    OffCpu,
    /// Times that a probe was hit.
    Probe,
}

impl Kind {
    /// What is counted of a sample of this origin.
    #[must_use]
    pub fn of(origin: Origin, sample_rate: u32) -> Self {
        match origin {
            Origin::Cpu => Self::Cpu { sample_rate },
            Origin::OffCpu => Self::OffCpu,
            Origin::Probe => Self::Probe,
        }
    }

    /// The name of the profile among those of a series: its `__name__`.
    #[must_use]
    pub fn series(self) -> &'static str {
        match self {
            Self::Cpu { .. } => "process_cpu",
            Self::OffCpu => "offcpu",
            Self::Probe => "uprobe",
        }
    }

    /// Kind and unit of the values.
    pub(super) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Cpu { .. } => ("cpu", "nanoseconds"),
            Self::OffCpu => ("offcpu", "nanoseconds"),
            Self::Probe => ("uprobe", "count"),
        }
    }

    /// What one of a stack's values is worth, in the profile's unit.
    pub(super) fn period(self) -> i64 {
        const SECOND: i64 = 1_000_000_000;
        match self {
            Self::Cpu { sample_rate } => SECOND / i64::from(sample_rate.max(1)),
            Self::OffCpu | Self::Probe => 1,
        }
    }

    /// Whether the period is of something.
    pub(super) fn has_period(self) -> bool {
        match self {
            Self::Cpu { .. } | Self::Probe => true,
            Self::OffCpu => false,
        }
    }
}

/// What is shown of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// The thread's name is a label of the sample.
    pub comm_label: bool,
    /// The thread's name is the outermost frame.
    pub comm_frame: bool,
    /// The pid is a label of the sample.
    pub pid_label: bool,
    /// The frames of the kernel are shown.
    pub kernel_frames: bool,
    /// Frames without a name get one made of file and address.
    pub stubs: bool,
}
