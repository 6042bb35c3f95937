//! HotSpot's attach protocol: one command a connection, over the JVM's own socket.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatVfsMountFlags, fstat, fstatvfs, open, openat, statat, unlinkat};
use rustix::process::geteuid;

use super::error::ProfilerError;
use super::jvm::{Jvm, NotAttachable};

/// HotSpot's own, whatever its `java.io.tmpdir` says.
const SOCKET_FOLDER: &str = "/tmp";
/// The JVM opens its socket at its next safepoint; the JDK's own client waits for 10 seconds.
const TO_LISTEN: Duration = Duration::from_secs(15);
/// The first `start` makes a table of the symbols of all libraries.
const TO_ANSWER: Duration = Duration::from_secs(30);
/// Of which a status and a sentence are used.
const LONGEST_ANSWER: u64 = 64 << 10;
/// Of each argument, in all versions up to 23.
pub(super) const LONGEST_ARGUMENT: usize = 1024;

/// What became of an agent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Loaded {
    /// It did what it was told.
    Done,
    /// It was loaded, and failed; its own log says why.
    AgentFailed,
    /// It was not loaded: the JVM's text.
    Refused(String),
}

/// Lets the JVM load an agent's library, which may be loaded already, and hands it its options. As the target's user.
///
/// # Errors
/// The JVM cannot be asked, does not answer in time, or something else answers.
pub(super) fn load(jvm: &Jvm, library: &str, options: &str) -> Result<Loaded, ProfilerError> {
    for argument in [library, options] {
        if argument.len() >= LONGEST_ARGUMENT || argument.contains('\0') {
            let length = argument.len();
            return Err(ProfilerError::Options {
                problem: format!("the agent's options take {length} bytes of at most {}", LONGEST_ARGUMENT - 1),
            });
        }
    }
    let answer = ask(jvm, &["load", library, "true", options])?;
    read_answer(&answer).ok_or_else(|| ProfilerError::Answer { answer: excerpt(&answer) })
}

/// Whether the JVM has opened its socket. It may be that of an earlier process: only a connection tells.
pub(super) fn listens(jvm: &Jvm) -> bool {
    jvm.user().act(|| try_connect(jvm)).is_ok_and(|tried| matches!(tried, Ok(Some(_))))
}

fn ask(jvm: &Jvm, words: &[&str; 4]) -> Result<Vec<u8>, ProfilerError> {
    let mut stream = connection(jvm)?;
    let deadline = Instant::now() + TO_ANSWER;
    let mut request = b"1\0".to_vec();
    for word in words {
        request.extend_from_slice(word.as_bytes());
        request.push(0);
    }
    let exchanged = exchange(&mut stream, &request, deadline);
    match exchanged {
        Ok(answer) if !answer.is_empty() => Ok(answer),
        // It died while it was asked.
        _ if !jvm.is_alive() => Err(NotAttachable::Gone.into()),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
            Err(ProfilerError::NoAnswer { waited: TO_ANSWER })
        }
        Err(error) => Err(ProfilerError::system("speak to the JVM")(error)),
        Ok(_) => Err(ProfilerError::Answer { answer: String::new() }),
    }
}

fn exchange(stream: &mut UnixStream, request: &[u8], deadline: Instant) -> io::Result<Vec<u8>> {
    let left = || match deadline.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(io::Error::from(io::ErrorKind::TimedOut)),
        left => Ok(Some(left)),
    };
    stream.set_write_timeout(left()?)?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while (answer.len() as u64) < LONGEST_ANSWER {
        stream.set_read_timeout(left()?)?;
        match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => answer.extend_from_slice(chunk.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(answer)
}

/// A connection to the JVM's socket, which it is asked to open where there is none.
fn connection(jvm: &Jvm) -> Result<UnixStream, ProfilerError> {
    if let Some(stream) = try_connect(jvm)? {
        return Ok(stream);
    }
    let folder = jvm.root().folder(SOCKET_FOLDER).map_err(no_socket)?;
    let flags = fstatvfs(&folder).map_err(io::Error::from).map_err(no_socket)?.f_flag;
    if flags.contains(StatVfsMountFlags::RDONLY) {
        return Err(no_socket(io::Error::from(io::ErrorKind::ReadOnlyFilesystem)));
    }
    let _trigger = Trigger::place(jvm, folder)?;
    jvm.signal()?;
    let deadline = Instant::now() + TO_LISTEN;
    let mut pause = Duration::from_millis(5);
    while Instant::now() < deadline {
        thread::sleep(pause);
        if let Some(stream) = try_connect(jvm)? {
            return Ok(stream);
        }
        if !jvm.is_alive() {
            return Err(NotAttachable::Gone.into());
        }
        pause = (pause * 2).min(Duration::from_millis(250));
    }
    Err(ProfilerError::NoListener { waited: TO_LISTEN })
}

fn no_socket(error: io::Error) -> ProfilerError {
    ProfilerError::NoSocket { error }
}

/// None where the JVM does not listen yet, where something else does, or where more wait than it has room for.
fn try_connect(jvm: &Jvm) -> Result<Option<UnixStream>, ProfilerError> {
    let Some(file) = socket_file(jvm).map_err(ProfilerError::system("look for the JVM's socket"))? else {
        return Ok(None);
    };
    let failed = |error: nix::Error| ProfilerError::system("connect to the JVM")(error.into());
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(failed)?;
    // The very file that was looked at, whatever bears its name by now.
    let address = UnixAddr::new(format!("/proc/self/fd/{}", file.as_raw_fd()).as_str()).map_err(failed)?;
    match connect(socket.as_raw_fd(), &address) {
        Ok(()) => {}
        // What an earlier process of the same number has left; or the queue is full.
        Err(nix::Error::ECONNREFUSED | nix::Error::EAGAIN) => return Ok(None),
        Err(error) => return Err(failed(error)),
    }
    let peer = getsockopt(&socket, PeerCredentials).map_err(failed)?;
    if u32::try_from(peer.pid()) != Ok(jvm.pid()) {
        return Ok(None);
    }
    // Then its pid was not given to another one when that began to listen, either.
    if !jvm.is_alive() {
        return Err(NotAttachable::Gone.into());
    }
    let stream = UnixStream::from(socket);
    stream.set_nonblocking(false).map_err(ProfilerError::system("connect to the JVM"))?;
    Ok(Some(stream))
}

/// The JVM's socket in its files; none where there is none, or something else has the name. As the target's user.
fn socket_file(jvm: &Jvm) -> io::Result<Option<OwnedFd>> {
    let Ok(folder) = jvm.root().folder(SOCKET_FOLDER) else { return Ok(None) };
    let name = format!(".java_pid{}", jvm.pid_in_namespace());
    match openat(&folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Ok(file) => {
            let found = fstat(&file)?;
            let is_socket = FileType::from_raw_mode(found.st_mode) == FileType::Socket;
            Ok((is_socket && found.st_uid == geteuid().as_raw()).then_some(file))
        }
        Err(rustix::io::Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The file that tells the JVM to take SIGQUIT as the wish to attach, and not as that for a dump of its threads.
struct Trigger {
    folder: OwnedFd,
    name: String,
}

impl Trigger {
    /// Where the JVM looks first, its working folder, and where that cannot be written, in the socket's.
    fn place(jvm: &Jvm, tmp: OwnedFd) -> Result<Self, ProfilerError> {
        let name = format!(".attach_pid{}", jvm.pid_in_namespace());
        let link = format!("/proc/{}/cwd", jvm.pid());
        let working = open(link, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).ok();
        // The pid is still that of the process, and so is what was opened by it.
        let working = working.filter(|_| jvm.is_alive());
        let mut refused = rustix::io::Errno::NOENT;
        for folder in working.into_iter().chain([tmp]) {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            match openat(&folder, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(file) => {
                    drop(File::from(file));
                    return Ok(Self { folder, name });
                }
                // Another client's, or one that it has left: the JVM sees whose it is, and so does this.
                Err(rustix::io::Errno::EXIST) if is_own_file(&folder, &name) => return Ok(Self { folder, name }),
                Err(error) => refused = error,
            }
        }
        Err(ProfilerError::NoSocket { error: refused.into() })
    }
}

fn is_own_file(folder: &OwnedFd, name: &str) -> bool {
    statat(folder, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|file| {
        FileType::from_raw_mode(file.st_mode) == FileType::RegularFile && file.st_uid == geteuid().as_raw()
    })
}

impl Drop for Trigger {
    fn drop(&mut self) {
        // It may be gone with its folder.
        let _gone = unlinkat(&self.folder, &self.name, AtFlags::empty());
    }
}

/// The JVM's status in the first line, then the agent's in one of three forms: a number (8), `return code: ` and a
/// number (9 and later), or a sentence where the library cannot be loaded (21 and later, with the status of success).
fn read_answer(answer: &[u8]) -> Option<Loaded> {
    let text = String::from_utf8_lossy(answer);
    let (status, rest) = text.split_once('\n')?;
    let status: i32 = status.trim().parse().ok()?;
    let rest = rest.trim();
    let code = rest.strip_prefix("return code:").unwrap_or(rest).trim().parse::<i32>();
    Some(match (status, code) {
        (0, Ok(0)) => Loaded::Done,
        (0, Ok(_)) => Loaded::AgentFailed,
        (0, Err(_)) if rest.is_empty() => Loaded::Done,
        _ if rest.is_empty() => Loaded::Refused(format!("status {status}")),
        _ => Loaded::Refused(excerpt(rest.as_bytes())),
    })
}

/// As much of a foreign text as a message has room for.
pub(super) fn excerpt(text: &[u8]) -> String {
    const LONGEST: usize = 500;
    let text = text.get(..LONGEST).unwrap_or(text);
    String::from_utf8_lossy(text).trim().chars().map(|char| if char.is_control() { ' ' } else { char }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_all_versions_are_read() {
        let refused = |text: &str| Some(Loaded::Refused(text.to_owned()));
        for (answer, loaded) in [
            ("0\nreturn code: 0\n", Some(Loaded::Done)),
            ("0\n0\n", Some(Loaded::Done)),
            ("0\n", Some(Loaded::Done)),
            ("0\nreturn code: 200\n", Some(Loaded::AgentFailed)),
            ("0\n100\n", Some(Loaded::AgentFailed)),
            ("0\n/tmp/x.so was not loaded.\n", refused("/tmp/x.so was not loaded.")),
            ("-1\nagent library failed to init\n", refused("agent library failed to init")),
            ("101\n", refused("status 101")),
            ("", None),
            ("0", None),
            ("x\ny\n", None),
        ] {
            assert_eq!(read_answer(answer.as_bytes()), loaded, "{answer:?}");
        }
    }
}
