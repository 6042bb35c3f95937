//! Whose pids /proc shows.

use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;

/// The initial pid namespace' inode, the same on every kernel (`PROC_PID_INIT_INO`).
const INITIAL: u64 = 0xEFFF_FFFC;

/// The inode of the pid namespace whose pids /proc shows; none for the initial one. It may be another one than this
/// process' own.
///
/// # Errors
/// /proc does not tell.
pub fn pid_namespace() -> io::Result<Option<u32>> {
    // Number 1 of a /proc lives in the /proc's own namespace; not all may look at it.
    let inode = match std::fs::metadata("/proc/1/ns/pid") {
        Ok(namespace) => namespace.ino(),
        Err(_) if own_numbers()? == 1 => std::fs::metadata("/proc/self/ns/pid")?.ino(),
        Err(error) => return Err(error),
    };
    if inode == INITIAL {
        return Ok(None);
    }
    u32::try_from(inode).map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("inode {inode}")))
}

/// How many pids this process has, from the namespace of /proc on down to its own.
fn own_numbers() -> io::Result<usize> {
    const LONGEST: u64 = 1 << 16;
    let mut status = String::new();
    std::fs::File::open("/proc/self/status")?.take(LONGEST).read_to_string(&mut status)?;
    let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:"));
    Ok(numbers.map_or(0, |numbers| numbers.split_ascii_whitespace().count()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_a_number_in_each_namespace_that_it_is_in() {
        assert!(own_numbers().unwrap() >= 1);
        assert!(pid_namespace().is_ok());
    }
}
