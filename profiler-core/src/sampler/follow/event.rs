//! What the kernel tells of processes.

use crate::kernel::Record;

/// What the kernel tells of a process.
#[derive(Debug, Clone, Copy)]
pub(in crate::sampler) enum Event {
    Unknown { pid: u32, cgroup: Option<u64> },
    Stale(u32),
    Exec(u32),
    Exit(u32),
}

impl Event {
    pub(in crate::sampler) fn of(record: &Record<'_>) -> Option<Self> {
        match record {
            Record::Unknown { pid, cgroup } => Some(Self::Unknown { pid: *pid, cgroup: *cgroup }),
            Record::Stale(pid) => Some(Self::Stale(*pid)),
            Record::Exec(pid) => Some(Self::Exec(*pid)),
            Record::Exit(pid) => Some(Self::Exit(*pid)),
            _ => None,
        }
    }
}
