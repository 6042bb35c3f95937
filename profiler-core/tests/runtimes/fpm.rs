//! PHP that serves: a pool of one process, asked over FastCGI.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::source::path;
use crate::running::wait_for;

/// A pool, which ends when it is dropped.
pub(crate) struct Pool {
    master: Child,
    folder: TempDir,
}

impl Pool {
    pub(crate) fn start(program: &str, options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let configuration = format!(
            "[global]\nerror_log = /dev/null\ndaemonize = no\n[shop]\nlisten = {}\npm = static\npm.max_children = 1\n\
             user = root\ngroup = root\n",
            folder.path().join("socket").display()
        );
        let file = folder.path().join("fpm.conf");
        std::fs::write(&file, configuration).unwrap();
        let mut command = Command::new(program);
        command.args(["--allow-to-run-as-root", "--nodaemonize", "--fpm-config"]).arg(&file);
        for option in options {
            command.args(["-d", option]);
        }
        let master = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let pool = Self { master: master.unwrap_or_else(|error| panic!("this test needs {program}: {error}")), folder };
        wait_for(|| pool.worker().is_some() && pool.connect().is_some());
        pool
    }

    /// The process that serves.
    pub(crate) fn worker(&self) -> Option<u32> {
        let master = self.master.id();
        let children = std::fs::read_to_string(format!("/proc/{master}/task/{master}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    /// A request that is served until it is to end.
    pub(crate) fn ask(&self, name: &str) -> Request {
        let until = self.folder.path().join(name);
        let script = path("php/served.php");
        let mut stream = self.connect().unwrap();
        let mut parameters = Vec::new();
        for (name, value) in [
            ("REQUEST_METHOD", "GET"),
            ("SCRIPT_FILENAME", script.to_str().unwrap()),
            ("UNTIL", until.to_str().unwrap()),
        ] {
            // Both are shorter than 128 bytes, or have four bytes for their length.
            parameters.push(name.len() as u8);
            parameters.extend((value.len() as u32 | 1 << 31).to_be_bytes());
            parameters.extend(name.bytes().chain(value.bytes()));
        }
        // FCGI_BEGIN_REQUEST as FCGI_RESPONDER, FCGI_PARAMS up to an empty one, FCGI_STDIN without anything.
        let records = [(1, &[0, 1, 0, 0, 0, 0, 0, 0][..]), (4, &parameters), (4, &[]), (5, &[])];
        for (kind, content) in records {
            let [high, low] = (content.len() as u16).to_be_bytes();
            stream.write_all(&[&[1, kind, 0, 1, high, low, 0, 0], content].concat()).unwrap();
        }
        Request { stream, until }
    }

    fn connect(&self) -> Option<UnixStream> {
        UnixStream::connect(self.folder.path().join("socket")).ok()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let worker = self.worker();
        let _ = self.master.kill();
        let _ = self.master.wait();
        if let Some(worker) = worker {
            let pid = nix::unistd::Pid::from_raw(worker.cast_signed());
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

/// A request under way.
pub(crate) struct Request {
    stream: UnixStream,
    until: PathBuf,
}

impl Request {
    /// Lets it end, and reads the answer.
    pub(crate) fn end(mut self) {
        std::fs::write(&self.until, "").unwrap();
        let mut answer = Vec::new();
        self.stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.contains(self.until.to_str().unwrap()), "{answer}");
    }
}
