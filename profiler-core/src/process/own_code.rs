//! The machine code of this process.

#![allow(unsafe_code, reason = "madvise(2) has no safe wrapper")]

use std::io;

use rustix::mm::{Advice, madvise};

use super::{Source, executable_memory};

/// Takes this program's machine code out of the process' memory; what runs on comes back from the file, some pages at a
/// time. The start of a program runs through much of it once, and all of that would count as the process' memory for as
/// long as it idles. Returns how many bytes of code the program has.
///
/// # Errors
/// /proc cannot be read, or the kernel refuses.
pub fn unmap_started_code() -> io::Result<u64> {
    let here = unmap_started_code as *const () as u64;
    let mut memory = executable_memory(std::process::id())?.into_iter();
    let code = memory.find(|memory| (memory.start..memory.end).contains(&here));
    let Some(code) = code.filter(|code| matches!(code.source, Source::File { .. })) else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "/proc/self/maps does not show this program's file"));
    };
    let (start, length) = (code.start as *mut _, code.end - code.start);
    // SAFETY: the range is a mapping of this program's file that can be executed and not written, so that nothing is in
    // memory that is not in the file, and the kernel lets no one write to a file that runs. Its pages are read again from
    // there whenever they are needed, this very function's among them.
    unsafe { madvise(start, length as usize, Advice::LinuxDontNeed) }?;
    Ok(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_that_was_unmapped_runs_on_and_less_of_it_is_in_memory() {
        let resident = || {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("RssFile:")).unwrap();
            line.split_ascii_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
        };
        let before = resident();
        assert!(unmap_started_code().unwrap() > 4096);
        assert!(resident() < before, "{} kB of files are in memory, {before} before", resident());
        assert!(unmap_started_code().unwrap() > 4096);
    }
}
