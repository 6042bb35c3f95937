//! What runs: the memory of processes, and the files behind it.

mod container;
mod description;
mod maps;
mod namespace;
mod open;
mod own_code;
mod root;

use std::io;
use std::io::Read;

pub use container::{cgroups, container_id};
pub use description::{command_line, executable, pids, user_id, working_folder};
pub use maps::{MAX_LINES, MappedMemory, Source, executable_memory};
pub use namespace::pid_namespace;
pub use open::{OpenError, open_mapped, read_vdso};
pub use own_code::unmap_started_code;
pub use root::Root;

/// When a process began, in ticks since boot: with its pid it is one process and no later one. Its own main thread's.
///
/// # Errors
/// It is gone, or /proc shows something else than the kernel writes.
pub fn start_time(pid: u32) -> io::Result<u64> {
    // The line has 52 numbers and a name of at most 64 bytes.
    const LONGEST: u64 = 4096;
    /// Counted from behind the name, which may hold anything: field 22 of proc(5).
    const START_TIME: usize = 19;
    let mut line = String::new();
    std::fs::File::open(format!("/proc/{pid}/stat"))?.take(LONGEST).read_to_string(&mut line)?;
    line.rsplit_once(')')
        .and_then(|(_, fields)| fields.split_ascii_whitespace().nth(START_TIME))
        .and_then(|field| field.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/stat has no start time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_time_stays_and_a_later_process_has_a_later_one() {
        let own = start_time(std::process::id()).unwrap();
        assert_eq!(start_time(std::process::id()).unwrap(), own);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let of_child = start_time(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(of_child.unwrap() >= own);
        assert!(start_time(child.id()).is_err());
    }
}
