//! What this process may do, and what the kernel can, before anything is loaded.

use std::fmt;

use aya::programs::ProgramType;
use aya::sys::{BpfHelper, is_helper_supported};
use rustix::thread::{CapabilitySet, capabilities};

use super::LoadError;

/// Something that is missing without which profiling works, only less well. Its text is one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shortfall {
    /// `CAP_SYS_PTRACE`.
    OtherUsers,
    /// `CAP_SYSLOG`.
    KernelNames,
    /// Tracepoints of processes.
    Lifetimes,
    /// /proc is that of a pid namespace.
    PidNamespace,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::OtherUsers => "without CAP_SYS_PTRACE the stacks of other users' processes cannot be unwound",
            Self::KernelNames => "without CAP_SYSLOG the kernel's frames have no names",
            Self::Lifetimes => {
                "the tracepoints sched_process_exec and sched_process_exit cannot be used: that a process runs another \
                 program or is gone is noticed some seconds later"
            }
            Self::PidNamespace => {
                "only processes of this pid namespace are seen: for those of the whole host, run in the host's"
            }
        })
    }
}

const NEEDED: [(CapabilitySet, &str, &str); 2] = [
    (CapabilitySet::BPF, "CAP_BPF", "to load programs into the kernel"),
    (CapabilitySet::PERFMON, "CAP_PERFMON", "to sample CPUs and read stacks"),
];

/// Refuses where nothing would work, and names what will not.
pub(super) fn examine() -> Result<Vec<Shortfall>, LoadError> {
    let effective = capabilities(None).map_err(|error| LoadError::Capabilities(error.into()))?.effective;
    // It stood for all of these before they were split off, and still does.
    let admin = effective.contains(CapabilitySet::SYS_ADMIN);
    for (flag, capability, purpose) in NEEDED {
        if !admin && !effective.contains(flag) {
            return Err(LoadError::Capability { capability, purpose });
        }
    }
    // The newest helper of the programs.
    let helper = is_helper_supported(ProgramType::PerfEvent, BpfHelper::BPF_FUNC_task_pt_regs);
    if matches!(helper, Ok(false)) {
        return Err(LoadError::Helper("bpf_task_pt_regs"));
    }
    let mut shortfalls = Vec::new();
    if !effective.contains(CapabilitySet::SYS_PTRACE) {
        shortfalls.push(Shortfall::OtherUsers);
    }
    if !admin && !effective.contains(CapabilitySet::SYSLOG) {
        shortfalls.push(Shortfall::KernelNames);
    }
    Ok(shortfalls)
}
