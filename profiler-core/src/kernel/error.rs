//! What goes wrong between user space and the kernel.

use std::io;

use aya::maps::MapError;
use aya::programs::ProgramError;
use aya::{BtfError, EbpfError};

use super::Probe;

/// Why there will be no samples. Each is one line, and says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// A capability without which nothing works.
    #[error(
        "profiling needs {capability} ({purpose}): grant it to the process, or CAP_SYS_ADMIN on kernels before 5.8"
    )]
    Capability {
        /// Its name.
        capability: &'static str,
        /// What it is needed for.
        purpose: &'static str,
    },
    /// The capabilities cannot be read.
    #[error("the capabilities of this process cannot be read: {0}")]
    Capabilities(#[source] io::Error),
    /// A processor there are no programs for.
    #[error("there are no programs for this processor: profiling works on x86_64 and aarch64")]
    Architecture,
    /// The kernel says nothing of its types.
    #[error("/sys/kernel/btf/vmlinux cannot be read ({0}): the kernel must be built with CONFIG_DEBUG_INFO_BTF")]
    Btf(#[source] BtfError),
    /// Something the programs call is not there.
    #[error("the kernel lacks {0} for perf events: Linux 5.15 or newer has it")]
    Helper(&'static str),
    /// Locked memory is limited, before 5.11.
    #[error("the kernel refuses memory for maps: raise the limit of locked memory (ulimit -l, now {limit} bytes)")]
    LockedMemory {
        /// RLIMIT_MEMLOCK, in bytes.
        limit: u64,
    },
    /// The object does not load.
    #[error("the kernel does not take the programs: {}", one_line(.0))]
    Load(#[from] EbpfError),
    /// The object is not the one that belongs to this code.
    #[error("the built-in object lacks {missing}: this is a defect of the build")]
    Object {
        /// The name of a map or a program.
        missing: &'static str,
    },
    /// One program does not load or attach.
    #[error("the program {program} is refused: {}", one_line(.error))]
    Program {
        /// Its name.
        program: &'static str,
        /// The kernel's answer.
        #[source]
        error: ProgramError,
    },
    /// A map is not as it should be.
    #[error("a map is refused: {}", one_line(.0))]
    Map(#[from] MapError),
    /// Pids would be those of others.
    #[error("/proc/1/ns/pid cannot be read, so that it is not known whose pids /proc shows: {0}")]
    PidNamespace(#[source] io::Error),
    /// A kind of probes that is not there.
    #[error("{probe}: the kernel has no {kind}s ({option})")]
    NoProbes {
        /// The probe.
        probe: Box<Probe>,
        /// kprobe or uprobe.
        kind: &'static str,
        /// What the kernel must be built with.
        option: &'static str,
    },
    /// A probe's place is not there, or the kernel refuses it.
    #[error("{probe}: {}", one_line(.error))]
    Probe {
        /// The probe.
        probe: Box<Probe>,
        /// Why not.
        #[source]
        error: ProgramError,
    },
    /// The CPUs are not known.
    #[error("{path} cannot be read: {error}")]
    Cpus {
        /// The file.
        path: &'static str,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

/// Why the kernel was not told something.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FillError {
    /// No place in the map of all mappings.
    #[error("no room for the mappings of one more process")]
    Mappings,
    /// No place for a table.
    #[error("no room for one more unwind table")]
    Tables,
    /// A table that the kernel does not search.
    #[error("an unwind table of {rows} rows: there must be 1 to {}", super::MAX_ROWS)]
    Rows {
        /// How many it has.
        rows: usize,
    },
    /// Too many cgroups.
    #[error("{given} cgroups: no more than {} can be sampled", super::MAX_CGROUPS)]
    Cgroups {
        /// How many.
        given: usize,
    },
    /// No place for rules.
    #[error("no room for more than {} full rules", super::MAX_RULES)]
    Rules,
    /// bpf(2) says no.
    #[error("bpf(2): {0}")]
    System(#[from] io::Error),
    /// aya says no.
    #[error("{}", one_line(.0))]
    Map(#[from] MapError),
}

/// The chain of an error's causes without the pages that a verifier writes.
fn one_line(error: &dyn std::error::Error) -> String {
    const LONGEST: usize = 400;
    let mut line = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let text = error.to_string();
        let first = text.lines().next().unwrap_or_default();
        // aya's errors show their cause in their own text as well.
        if !line.contains(first) {
            if !line.is_empty() {
                line.push_str(": ");
            }
            line.push_str(first);
        }
        next = error.source();
    }
    line.chars().take(LONGEST).collect()
}
