//! What the kernel tells of each process.

use std::fs::{self, File};
use std::io::{self, Read};

/// The longest command line that is read; class paths of Java take some ten kilobytes.
const LONGEST_COMMAND_LINE: usize = 32 << 10;
/// `Uid` stands in the first ten lines of proc_pid_status(5), behind a name of at most 64 bytes.
const STATUS: u64 = 4096;

/// The processes that can be seen, ascending.
///
/// # Errors
/// There is no /proc.
pub fn pids() -> io::Result<Vec<u32>> {
    let mut pids = Vec::new();
    for entry in fs::read_dir("/proc")? {
        pids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
    }
    pids.sort_unstable();
    Ok(pids)
}

/// The path of the program, which ends in ` (deleted)` where its file is gone.
///
/// # Errors
/// The process is gone, may not be looked at, or has no program: it is the kernel's own.
pub fn executable(pid: u32) -> io::Result<String> {
    link(pid, "exe")
}

/// The folder that its relative paths begin in.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn working_folder(pid: u32) -> io::Result<String> {
    link(pid, "cwd")
}

/// Its arguments with spaces between, without empty ones; of the first 32 KiB.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn command_line(pid: u32) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/cmdline"))?.take(LONGEST_COMMAND_LINE as u64).read_to_end(&mut bytes)?;
    Ok(joined(&bytes))
}

/// The user that it runs as: the real one, which no set-user-ID bit changes.
///
/// # Errors
/// The process is gone, or may not be looked at.
pub fn user_id(pid: u32) -> io::Result<u32> {
    let mut bytes = Vec::new();
    File::open(format!("/proc/{pid}/status"))?.take(STATUS).read_to_end(&mut bytes)?;
    let status = String::from_utf8_lossy(&bytes);
    let ids = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    ids.and_then(|ids| ids.split_ascii_whitespace().next()?.parse().ok())
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/status names no user")))
}

fn link(pid: u32, name: &str) -> io::Result<String> {
    // A path may hold any bytes.
    Ok(fs::read_link(format!("/proc/{pid}/{name}"))?.to_string_lossy().into_owned())
}

fn joined(arguments: &[u8]) -> String {
    let arguments: Vec<_> = arguments.split(|byte| *byte == 0).filter(|argument| !argument.is_empty()).collect();
    String::from_utf8_lossy(&arguments.join(&b' ')).into_owned()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    struct Running(Child);

    impl Running {
        /// A shell that waits for the end of its input, once it runs.
        fn shell(arguments: &[&str]) -> Self {
            use std::io::BufRead;
            let mut shell = Command::new("/bin/sh");
            shell.args(["-c", "echo; read line"]).args(arguments).current_dir("/");
            let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            io::BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut String::new()).unwrap();
            Self(child)
        }
    }

    impl Drop for Running {
        fn drop(&mut self) {
            let _gone = self.0.kill();
            let _gone = self.0.wait();
        }
    }

    #[test]
    fn a_running_program_is_described() {
        let shell = Running::shell(&["", "a b", "ä"]);
        let pid = shell.0.id();
        assert!(pids().unwrap().contains(&pid));
        assert_eq!(executable(pid).unwrap(), fs::canonicalize("/bin/sh").unwrap().to_str().unwrap());
        assert_eq!(working_folder(pid).unwrap(), "/");
        assert_eq!(command_line(pid).unwrap(), "/bin/sh -c echo; read line a b ä");
        assert_eq!(user_id(pid).unwrap(), rustix::process::getuid().as_raw());
        drop(shell);
        let gone = [executable(pid), working_folder(pid), command_line(pid), user_id(pid).map(|id| id.to_string())];
        assert!(gone.iter().all(Result::is_err), "{gone:?}");
    }

    #[test]
    fn a_huge_command_line_is_cut_and_strange_bytes_are_replaced() {
        let shell = Running::shell(&[&"x".repeat(100_000)]);
        assert!(command_line(shell.0.id()).unwrap().len() <= LONGEST_COMMAND_LINE);
        assert_eq!(joined(b"a\0\0\xff\0"), "a \u{fffd}");
        assert_eq!(joined(b""), "");
    }
}
