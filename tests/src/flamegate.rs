//! The real `flamegate` binary as a child process.

mod command;
mod metrics;
mod to_end;

use std::env;
use std::ffi::OsStr;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal;
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::child_output::{self, Output};
use crate::http_client::{self, RequestError};
use crate::network::Host;

pub use command::Ended;
pub use metrics::{Metrics, MetricsError};
pub use nix::sys::signal::Signal;

/// From start to ready; a development build compiles its filters in this time.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// Between two looks at something that cannot be waited for.
const POLL: Duration = Duration::from_millis(20);

/// A running Flamegate; dropping it kills it.
#[derive(Debug)]
pub struct Flamegate {
    child: Child,
    output: Output,
    admin: SocketAddr,
    folder: TempDir,
}

/// Why Flamegate is not there, or not as a test needs it.
#[derive(Debug, thiserror::Error)]
pub enum FlamegateError {
    /// No binary.
    #[error("no flamegate binary at {}: `cargo build -p flamegate` builds it, or FLAMEGATE_BIN names one", .0.display())]
    NoBinary(PathBuf),
    /// The operating system refused something.
    #[error("{what}: {error}")]
    System {
        /// What.
        what: &'static str,
        /// Why.
        error: io::Error,
    },
    /// It ended.
    #[error("flamegate ended with {status}; it wrote:\n{logs}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// Everything it wrote.
        logs: String,
    },
    /// Something did not happen in time.
    #[error("no {what} within {deadline:?}; flamegate wrote:\n{logs}")]
    Deadline {
        /// What was waited for.
        what: String,
        /// How long.
        deadline: Duration,
        /// Everything it wrote.
        logs: String,
    },
    /// Its admin listener does not answer.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// It answered, but not with 200.
    #[error("{what} answered {status}: {body}")]
    Answer {
        /// Which request.
        what: &'static str,
        /// The status.
        status: u16,
        /// The text.
        body: String,
    },
    /// `/metrics` is not in the text format.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
}

impl Flamegate {
    /// Writes the configuration to a folder of its own, runs it, and waits until it is ready. The admin listener and
    /// the storage folder are set; `extra_arguments` come after them.
    ///
    /// # Errors
    /// When it is missing, ends, or is not ready in time: with everything it wrote.
    pub async fn start(configuration: &str, extra_arguments: &[&str]) -> Result<Self, FlamegateError> {
        let folder = tempfile::tempdir().map_err(system("make a folder"))?;
        Self::start_in(folder, configuration, extra_arguments).await
    }

    /// As [`start`](Self::start) in a given folder, such as the one that [`into_folder`](Self::into_folder) handed back:
    /// the storage is what its predecessor left.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_in(
        folder: TempDir,
        configuration: &str,
        extra_arguments: &[&str],
    ) -> Result<Self, FlamegateError> {
        let command = Command::new(binary()?);
        Self::launch(folder, configuration, command, "127.0.0.1:0", extra_arguments).await
    }

    /// As [`start`](Self::start) on a host of a network; the admin listener is at the host's management address, on the
    /// port that it has where no flag says which.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub async fn start_on(host: &Host, configuration: &str, extra_arguments: &[&str]) -> Result<Self, FlamegateError> {
        let folder = tempfile::tempdir().map_err(system("make a folder"))?;
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &host.namespace]).arg(binary()?);
        let admin = format!("{}:12345", host.management);
        Self::launch(folder, configuration, command, &admin, extra_arguments).await
    }

    async fn launch(
        folder: TempDir,
        configuration: &str,
        mut command: Command,
        admin: &str,
        extra_arguments: &[&str],
    ) -> Result<Self, FlamegateError> {
        let file = folder.path().join("config.alloy");
        std::fs::write(&file, configuration).map_err(system("write the configuration"))?;
        let mut storage = OsStr::new("--storage.path=").to_owned();
        storage.push(folder.path().join("data"));
        command
            .env("FLAMEGATE_ASYNC_PROFILER", concat!(env!("CARGO_MANIFEST_DIR"), "/../.test-tools/async-profiler"))
            .arg("run")
            .arg(format!("--server.http.listen-addr={admin}"))
            .arg(storage)
            .args(extra_arguments)
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(system("start flamegate"))?;
        let output = Output::of(&mut child);
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut started = Self { child, output, admin: unknown, folder };
        match started.address_in_log("admin listening", None).await {
            Ok(address) => started.admin = address,
            Err(error) => {
                started.check_running().await?;
                return Err(error);
            }
        }
        started.wait_ready().await?;
        Ok(started)
    }

    /// The address on which a component listens, by its id, such as `pyroscope.receive_http.default`.
    ///
    /// # Errors
    /// When no such line is logged in time.
    pub async fn listener(&self, component_id: &str) -> Result<SocketAddr, FlamegateError> {
        self.address_in_log("listening", Some(component_id)).await
    }

    /// The address of the admin listener.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The folder of its configuration and its storage.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Everything it wrote so far, line by line.
    #[must_use]
    pub fn logs(&self) -> Vec<String> {
        self.output.lines()
    }

    /// Waits for a logged line that contains this.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn wait_for_log(&self, part: &str, deadline: Duration) -> Result<String, FlamegateError> {
        let found = self.output.wait_for(|line| line.contains(part).then(|| line.to_owned()));
        match timeout(deadline, found).await {
            Ok(Some(line)) => Ok(line),
            Ok(None) | Err(_) => Err(self.deadline(format!("line with {part:?}"), deadline)),
        }
    }

    /// `GET /metrics`, parsed.
    ///
    /// # Errors
    /// When it does not answer 200 with the text format.
    pub async fn metrics(&self) -> Result<Metrics, FlamegateError> {
        let reply = http_client::get(&format!("http://{}/metrics", self.admin)).await?;
        expect_ok("GET /metrics", &reply)?;
        Ok(Metrics::parse(&reply.text())?)
    }

    /// Replaces the configuration and has it reloaded.
    ///
    /// # Errors
    /// [`FlamegateError::Answer`] with Flamegate's words when it refuses the new one.
    pub async fn reload(&self, configuration: &str) -> Result<(), FlamegateError> {
        self.replace_configuration(configuration)?;
        let url = format!("http://{}/-/reload", self.admin);
        expect_ok("POST /-/reload", &http_client::post(&url, &[], "").await?)
    }

    /// Replaces the configuration and tells it nothing.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn replace_configuration(&self, configuration: &str) -> Result<(), FlamegateError> {
        std::fs::write(self.folder.path().join("config.alloy"), configuration)
            .map_err(system("write the configuration"))
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When the process has ended already.
    pub fn signal(&self, signal: Signal) -> Result<(), FlamegateError> {
        signal::kill(self.pid()?, signal)
            .map_err(|error| FlamegateError::System { what: "send a signal", error: error.into() })
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it still runs at the deadline.
    pub async fn wait_exit(&mut self, deadline: Duration) -> Result<ExitStatus, FlamegateError> {
        match timeout(deadline, self.child.wait()).await {
            Ok(ended) => ended.map_err(system("wait for flamegate")),
            Err(_) => Err(self.deadline("exit".to_owned(), deadline)),
        }
    }

    /// Ends it with SIGTERM and hands back its folder, for a successor.
    ///
    /// # Errors
    /// When it does not end in time, or not well.
    pub async fn into_folder(mut self, deadline: Duration) -> Result<TempDir, FlamegateError> {
        self.signal(Signal::SIGTERM)?;
        let status = self.wait_exit(deadline).await?;
        if !status.success() {
            return Err(FlamegateError::Ended { status, logs: self.output.text() });
        }
        Ok(self.folder)
    }

    /// Kills it as a power cut would and hands back its folder, for a successor.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub async fn kill_into_folder(mut self) -> Result<TempDir, FlamegateError> {
        self.child.kill().await.map_err(system("kill flamegate"))?;
        Ok(self.folder)
    }

    /// The most that any of its files may grow to from now on; `None` for no bound. Writes beyond fail, as on a disk that
    /// is full.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn limit_file_size(&self, bytes: Option<u64>) -> Result<(), FlamegateError> {
        use rustix::process::{Pid, Resource, Rlimit, prlimit};
        let pid = Pid::from_raw(self.pid()?.as_raw());
        prlimit(pid, Resource::Fsize, Rlimit { current: bytes, maximum: None })
            .map(drop)
            .map_err(|error| FlamegateError::System { what: "limit the size of files", error: error.into() })
    }

    /// Resident memory, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn rss_bytes(&self) -> Result<u64, FlamegateError> {
        self.kernel_bytes("VmRSS:")
    }

    /// The most resident memory that it had so far, in bytes.
    ///
    /// # Errors
    /// When the process has ended.
    pub fn peak_rss_bytes(&self) -> Result<u64, FlamegateError> {
        self.kernel_bytes("VmHWM:")
    }

    /// A line of `/proc/PID/status` that counts kilobytes.
    fn kernel_bytes(&self, name: &str) -> Result<u64, FlamegateError> {
        let what = "read the memory of flamegate";
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid()?));
        let status = status.map_err(system(what))?;
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok());
        let absent = || FlamegateError::System { what, error: io::ErrorKind::InvalidData.into() };
        Ok(kilobytes.ok_or_else(absent)? * 1024)
    }

    async fn wait_ready(&mut self) -> Result<(), FlamegateError> {
        let url = format!("http://{}/-/ready", self.admin);
        let started = Instant::now();
        while started.elapsed() < READY_DEADLINE {
            if http_client::get(&url).await.is_ok_and(|reply| reply.status == 200) {
                return Ok(());
            }
            self.check_running().await?;
            sleep(POLL).await;
        }
        Err(self.deadline("readiness".to_owned(), READY_DEADLINE))
    }

    async fn address_in_log(&self, message: &str, component_id: Option<&str>) -> Result<SocketAddr, FlamegateError> {
        let found = self.output.wait_for(|line| {
            let field = |name: &str| child_output::logfmt_field(line, name);
            let this_one = component_id.is_none_or(|id| field("component_id").as_deref() == Some(id));
            let said = field("msg").as_deref() == Some(message) && this_one;
            said.then(|| field("addr")?.parse().ok()).flatten()
        });
        // No line comes, either, where the process closed its output.
        match timeout(READY_DEADLINE, found).await {
            Ok(Some(address)) => Ok(address),
            Ok(None) | Err(_) => {
                let of = component_id.unwrap_or("flamegate itself");
                Err(self.deadline(format!("line msg={message:?} of {of}"), READY_DEADLINE))
            }
        }
    }

    /// An error if it has ended; one that has closed its output is about to.
    async fn check_running(&mut self) -> Result<(), FlamegateError> {
        let wait = if self.output.is_open() { Duration::ZERO } else { READY_DEADLINE };
        let Ok(ended) = timeout(wait, self.child.wait()).await else { return Ok(()) };
        let status = ended.map_err(system("wait for flamegate"))?;
        self.output.closed().await;
        Err(FlamegateError::Ended { status, logs: self.output.text() })
    }

    fn pid(&self) -> Result<Pid, FlamegateError> {
        let ended = || FlamegateError::System { what: "find flamegate", error: io::ErrorKind::NotFound.into() };
        let id = self.child.id().ok_or_else(ended)?;
        i32::try_from(id).map(Pid::from_raw).map_err(|_| ended())
    }

    fn deadline(&self, what: String, deadline: Duration) -> FlamegateError {
        FlamegateError::Deadline { what, deadline, logs: self.output.text() }
    }
}

/// `FLAMEGATE_BIN`, else the binary of the same build as the test: `target/PROFILE/flamegate`.
pub(crate) fn binary() -> Result<PathBuf, FlamegateError> {
    let path = match env::var_os("FLAMEGATE_BIN") {
        Some(named) => PathBuf::from(named),
        None => {
            let test = env::current_exe().map_err(system("find the test's own path"))?;
            // target/PROFILE/deps/TEST
            let profile = test.ancestors().nth(2).unwrap_or(&test);
            profile.join("flamegate")
        }
    };
    if path.is_file() { Ok(path) } else { Err(FlamegateError::NoBinary(path)) }
}

fn expect_ok(what: &'static str, reply: &http_client::Reply) -> Result<(), FlamegateError> {
    if reply.status == 200 {
        return Ok(());
    }
    Err(FlamegateError::Answer { what, status: reply.status.as_u16(), body: reply.text() })
}

pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> FlamegateError {
    move |error| FlamegateError::System { what, error }
}
