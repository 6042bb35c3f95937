//! Acting with a target's rights, on a thread that ends with the act.

use std::io;
use std::sync::{Mutex, PoisonError};
use std::thread;

use rustix::process::{DumpableBehavior, Gid, Uid, dumpable_behavior, getegid, geteuid, set_dumpable_behavior};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

/// What it takes to look at a process of another user, and to speak to it as that user.
const NEEDED: [(CapabilitySet, &str); 3] = [
    (CapabilitySet::SYS_PTRACE, "CAP_SYS_PTRACE"),
    (CapabilitySet::SETUID, "CAP_SETUID"),
    (CapabilitySet::SETGID, "CAP_SETGID"),
];

/// One at a time: between taking another user and setting it again the process' `dumpable` is not its own.
static SWITCH: Mutex<()> = Mutex::new(());

/// Whom a process acts as: its effective user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// Does something as this user, without capabilities. The rest of the process keeps what it has: the kernel knows
    /// users by thread, and only libc's functions tell the other threads.
    ///
    /// # Errors
    /// This process may not become that user, or has no thread left.
    pub(super) fn act<T: Send>(self, work: impl FnOnce() -> T + Send) -> io::Result<T> {
        thread::scope(|scope| {
            let acting = thread::Builder::new().name("java attach".to_owned()).spawn_scoped(scope, || {
                self.take()?;
                Ok(work())
            })?;
            acting.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    fn take(self) -> io::Result<()> {
        if !self.is_own() {
            let _one_at_a_time = SWITCH.lock().unwrap_or_else(PoisonError::into_inner);
            let before = dumpable_behavior()?;
            let taken = self.take_ids();
            // The kernel forbids all of the process to be looked at, as if a set-user-ID program had started.
            if before == DumpableBehavior::Dumpable {
                set_dumpable_behavior(before)?;
            }
            taken?;
        }
        let none = CapabilitySet::empty();
        Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
    }

    /// The effective ids alone: the target's other processes may not touch a thread whose real ones are ours.
    fn take_ids(self) -> io::Result<()> {
        set_thread_groups(&[])?;
        set_thread_res_gid(None::<Gid>, Gid::from_raw(self.gid), None::<Gid>)?;
        Ok(set_thread_res_uid(None::<Uid>, Uid::from_raw(self.uid), None::<Uid>)?)
    }

    pub(super) fn is_own(self) -> bool {
        (geteuid().as_raw(), getegid().as_raw()) == (self.uid, self.gid)
    }

    /// The capabilities that this thread lacks to attach to processes of this user, with commas between.
    pub(super) fn missing_capabilities(self) -> String {
        let has = if self.is_own() { CapabilitySet::all() } else { effective() };
        let missing = NEEDED.iter().filter(|(capability, _)| !has.contains(*capability));
        missing.map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    }
}

fn effective() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}
