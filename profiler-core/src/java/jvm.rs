//! What can be known of a JVM before anything is said to it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::attach;
use super::rights::User;
use crate::process::{Root, Source, executable_memory, start_time};

/// `SigCgt` stands behind the supplementary groups, of which there may be 65,536.
const LONGEST_STATUS: u64 = 1 << 20;
/// Of a command line and of an environment; class paths take some ten kilobytes.
const LONGEST_WORDS: u64 = 1 << 20;

/// A running JVM that can be attached to: HotSpot, or what is built from it. It is this process and no later one of
/// the same pid.
#[derive(Debug)]
pub struct Jvm {
    pid: u32,
    pid_in_namespace: u32,
    user: User,
    start_time: u64,
    process: OwnedFd,
    root: Root,
}

/// Why a process cannot be attached to.
#[derive(Debug, thiserror::Error)]
pub enum NotAttachable {
    /// It has ended.
    #[error("the process has ended")]
    Gone,
    /// It has no libjvm.so in its memory.
    #[error("this is no JVM: libjvm.so is not in its memory")]
    NotJvm,
    /// It is a JVM of another kind.
    #[error("this JVM is OpenJ9, which cannot be profiled: only HotSpot can")]
    OpenJ9,
    /// It has just begun.
    #[error("the JVM does not handle SIGQUIT yet, which asks it to open its attach socket")]
    NotReady,
    /// It was told to let no one attach.
    #[error("the JVM runs with -XX:+DisableAttachMechanism; start it without")]
    AttachDisabled,
    /// This process may not look at it, or not speak as its user.
    #[error("no permission to {doing}: {needs}")]
    NoRights {
        /// What was tried.
        doing: &'static str,
        /// What would help.
        needs: String,
    },
    /// The pids of /proc are not those of this process' pid namespace.
    #[error("/proc shows another pid namespace than the one that this process runs in; run it in that one (hostPID)")]
    OtherProc,
    /// The system says no.
    #[error("{doing}: {error}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        #[source]
        error: io::Error,
    },
}

impl Jvm {
    /// Looks at a process. It does not notice.
    ///
    /// # Errors
    /// It cannot be attached to.
    pub fn open(pid: u32) -> Result<Self, NotAttachable> {
        let own = std::process::id().to_string();
        if !std::fs::read_link("/proc/self").is_ok_and(|shown| shown.as_os_str() == own.as_str()) {
            return Err(NotAttachable::OtherProc);
        }
        // First: as long as it says that the process lives, all that is read below is of this one.
        let process = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(NotAttachable::Gone)?;
        let process = pidfd_open(process, PidfdFlags::empty()).map_err(io::Error::from)?;
        let Status { user, pid_in_namespace, .. } = Status::read(pid)?;
        let denied = |doing| move |error| NotAttachable::of(error, doing, user);
        let start_time = start_time(pid)?;
        let memory = executable_memory(pid).map_err(denied("look at its memory"))?;
        let libraries = memory.iter().filter_map(|memory| match &memory.source {
            Source::File { path, .. } => Some(path.strip_suffix(" (deleted)").unwrap_or(path)),
            Source::Vdso | Source::Anonymous => None,
        });
        let kind = kind_of(libraries);
        let root = Root::of(pid).map_err(denied("look at its files"))?;
        let jvm = Self { pid, pid_in_namespace, user, start_time, process, root };
        if !jvm.is_alive() {
            return Err(NotAttachable::Gone);
        }
        match kind {
            None => Err(NotAttachable::NotJvm),
            Some(Kind::OpenJ9) => Err(NotAttachable::OpenJ9),
            Some(Kind::HotSpot) if jvm.lets_no_one_attach() => Err(NotAttachable::AttachDisabled),
            Some(Kind::HotSpot) => {
                let missing = user.missing_capabilities();
                if !missing.is_empty() {
                    let needs = needs(user, &missing);
                    return Err(NotAttachable::NoRights { doing: "speak as its user", needs });
                }
                match jvm.check_signal() {
                    // With -Xrs and -XX:+StartAttachListener it listens from its start on.
                    Err(_) if attach::listens(&jvm) => Ok(jvm),
                    checked => checked.map(|()| jvm),
                }
            }
        }
    }

    /// Its pid, as it was opened by.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it began, in ticks since boot: with its pid it is one process and no later one.
    #[must_use]
    pub fn start_time(&self) -> u64 {
        self.start_time
    }

    /// Whether it has not ended.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        let mut ended = [PollFd::new(&self.process, PollFlags::IN)];
        poll(&mut ended, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0)
    }

    /// The number that it knows itself by.
    pub(super) fn pid_in_namespace(&self) -> u32 {
        self.pid_in_namespace
    }

    pub(super) fn user(&self) -> User {
        self.user
    }

    pub(super) fn root(&self) -> &Root {
        &self.root
    }

    /// Whether it sees the host's files, where strangers may meddle with folders that all may write. In a container only
    /// its own processes do. The host's are those of the first process, or of this one where that cannot be told.
    pub(super) fn shares_files_with_host(&self) -> bool {
        let mounts = |pid: &str| std::fs::metadata(format!("/proc/{pid}/ns/mnt")).map(|namespace| namespace.ino()).ok();
        mounts("1").or_else(|| mounts("self")) == mounts(&self.pid.to_string())
    }

    /// Asks it to open its attach socket.
    ///
    /// # Errors
    /// It has no handler for the signal, which would end it then.
    pub(super) fn signal(&self) -> Result<(), NotAttachable> {
        self.check_signal()?;
        Ok(pidfd_send_signal(&self.process, Signal::QUIT).map_err(io::Error::from)?)
    }

    fn check_signal(&self) -> Result<(), NotAttachable> {
        if Status::read(self.pid)?.handles_quit {
            return Ok(());
        }
        Err(if self.is_alive() { NotAttachable::NotReady } else { NotAttachable::Gone })
    }

    /// Whether it was told so, as far as its environment and its command line say, of which the last word counts.
    /// Options in files are not seen.
    fn lets_no_one_attach(&self) -> bool {
        const OPTIONS: [&str; 2] = ["-XX:+DisableAttachMechanism", "-XX:-DisableAttachMechanism"];
        const VARIABLES: [&str; 3] = ["JAVA_TOOL_OPTIONS=", "JDK_JAVA_OPTIONS=", "_JAVA_OPTIONS="];
        let read = |file: &str| {
            let mut bytes = Vec::new();
            let file = File::open(format!("/proc/{}/{file}", self.pid));
            let _part = file.and_then(|file| file.take(LONGEST_WORDS).read_to_end(&mut bytes));
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let (arguments, environment) = (read("cmdline"), read("environ"));
        let variables =
            environment.split('\0').filter_map(|word| VARIABLES.iter().find_map(|name| word.strip_prefix(name)));
        let mut words = variables.flat_map(str::split_ascii_whitespace).chain(arguments.split('\0'));
        words.rfind(|word| OPTIONS.contains(word)) == Some(OPTIONS[0])
    }
}

/// A pidfd, readable when the process has ended.
impl AsFd for Jvm {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.process.as_fd()
    }
}

impl NotAttachable {
    fn of(error: io::Error, doing: &'static str, user: User) -> Self {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Self::from(error);
        }
        let missing = user.missing_capabilities();
        Self::NoRights { doing, needs: needs(user, &missing) }
    }
}

impl From<io::Error> for NotAttachable {
    fn from(error: io::Error) -> Self {
        let gone = [Errno::NOENT, Errno::SRCH].map(Errno::raw_os_error);
        if error.raw_os_error().is_some_and(|number| gone.contains(&number)) {
            return Self::Gone;
        }
        Self::System { doing: "look at the process", error }
    }
}

fn needs(user: User, missing: &str) -> String {
    if missing.is_empty() {
        return "a security module or the process itself forbids it".to_owned();
    }
    format!(
        "the process is of user {}, and this one lacks {missing}; grant them, or run it as root or as that user",
        user.uid
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    HotSpot,
    OpenJ9,
}

/// OpenJ9 has a libjvm.so as well, which leads to its own library.
fn kind_of<'a>(libraries: impl Iterator<Item = &'a str>) -> Option<Kind> {
    let mut kind = None;
    for path in libraries {
        match path.rsplit('/').next() {
            Some("libjvm.so") => kind = Some(Kind::HotSpot),
            Some(name) if name.starts_with("libj9vm") => return Some(Kind::OpenJ9),
            _ => {}
        }
    }
    kind
}

/// What `/proc/PID/status` says.
#[derive(Debug, PartialEq, Eq)]
struct Status {
    user: User,
    pid_in_namespace: u32,
    handles_quit: bool,
}

impl Status {
    fn read(pid: u32) -> io::Result<Self> {
        let mut bytes = Vec::new();
        File::open(format!("/proc/{pid}/status"))?.take(LONGEST_STATUS).read_to_end(&mut bytes)?;
        // The name may hold any bytes.
        Self::parse(&String::from_utf8_lossy(&bytes))
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, format!("/proc/{pid}/status lacks a line")))
    }

    fn parse(status: &str) -> Option<Self> {
        let words = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.map(str::split_ascii_whitespace)
        };
        // Real, effective, saved, of the file system.
        let effective = |name| words(name)?.nth(1)?.parse().ok();
        let caught = u64::from_str_radix(words("SigCgt")?.next()?, 16).ok()?;
        Some(Self {
            user: User { uid: effective("Uid")?, gid: effective("Gid")? },
            // From the namespace of /proc inwards.
            pid_in_namespace: words("NStgid")?.next_back()?.parse().ok()?,
            handles_quit: caught & (1 << (Signal::QUIT.as_raw() - 1)) != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_whatever_the_name_holds() {
        let status = "Name:\tUid: 1 2\nUmask:\t0022\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\nNStgid:\t900\t30\t1\nSigCgt:\t2000000000000004\n";
        let read = Status { user: User { uid: 2, gid: 6 }, pid_in_namespace: 1, handles_quit: true };
        assert_eq!(Status::parse(status), Some(read));
        let ignored = status.replace("0004", "0003");
        assert!(!Status::parse(&ignored).unwrap().handles_quit);
        for line in ["Uid:\t1", "Gid:\t5\t6\t7\t8", "NStgid:", "SigCgt:"] {
            assert_eq!(Status::parse(&status.replace(line, "X")), None, "{line}");
        }
    }

    #[test]
    fn what_is_mapped_tells_the_kind() {
        for (libraries, kind) in [
            (vec!["/usr/bin/cat", "/usr/lib/libc.so.6"], None),
            (vec!["/jdk/lib/libjvm.so.debug", "/jdk/libjvm.so/other"], None),
            (vec!["/jdk/bin/java", "/jdk/lib/server/libjvm.so"], Some(Kind::HotSpot)),
            (vec!["/jdk/lib/j9vm/libjvm.so", "/jdk/lib/default/libj9vm29.so"], Some(Kind::OpenJ9)),
        ] {
            assert_eq!(kind_of(libraries.iter().copied()), kind, "{libraries:?}");
        }
    }
}
