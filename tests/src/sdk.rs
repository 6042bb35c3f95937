//! The real SDKs, each profiling a small busy program from `tests/clients/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Command;

/// The programs run for 5 to 13 s; the rest is for a busy machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// A client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sdk {
    /// github.com/grafana/pyroscope-go: pprof in multipart to `/ingest`.
    Go,
    /// pyroscope-io 1.x: Push.
    Python14,
    /// pyroscope-io 0.8: pprof to `/ingest`, tags inside the profile.
    Python08,
    /// io.pyroscope:agent: JFR in chunked multipart to `/ingest`.
    Java,
    /// @pyroscope/nodejs.
    Node,
}

/// Why a client's run is not what a test needs.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// It is not there.
    #[error("client {client:?} is not installed ({missing} is absent): `cargo xtask test` installs the clients")]
    NotInstalled {
        /// Which.
        client: Sdk,
        /// The file.
        missing: PathBuf,
    },
    /// The operating system would not start it.
    #[error("client {client:?} did not start: {error}")]
    Start {
        /// Which.
        client: Sdk,
        /// Why.
        error: std::io::Error,
    },
    /// It did not end.
    #[error("client {client:?} still ran after {DEADLINE:?} and was killed")]
    Deadline {
        /// Which.
        client: Sdk,
    },
    /// It ended as a failure.
    #[error("client {client:?} ended with {status}:\n{output}")]
    Failed {
        /// Which.
        client: Sdk,
        /// How.
        status: ExitStatus,
        /// What it wrote.
        output: String,
    },
}

impl Sdk {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Go, Self::Python14, Self::Python08, Self::Java, Self::Node];

    /// Part of the name of the function that burns CPU while profiles are sent at intervals.
    #[must_use]
    pub fn function_while_running(self) -> &'static str {
        match self {
            Self::Python14 | Self::Python08 => "burn_cpu_while_running",
            Self::Go | Self::Java | Self::Node => "burnCpuWhileRunning",
        }
    }

    /// Part of the name of the function that burns CPU after the last interval: only the upload at exit has it.
    /// The Java agent makes none: it drops what it has not sent.
    #[must_use]
    pub fn function_before_exit(self) -> Option<&'static str> {
        match self {
            Self::Python14 | Self::Python08 => Some("burn_cpu_before_exit"),
            Self::Go | Self::Node => Some("burnCpuBeforeExit"),
            Self::Java => None,
        }
    }

    /// Runs the program to its end against a server; it tags its profiles with `region=eu-west`.
    ///
    /// # Errors
    /// When it is not installed or does not end well.
    pub async fn run(self, server: &str, application: &str) -> Result<(), SdkError> {
        let mut command = self.command()?;
        command
            .env("PYROSCOPE_SERVER_ADDRESS", server)
            .env("PYROSCOPE_APPLICATION_NAME", application)
            .env("PYROSCOPE_UPLOAD_INTERVAL", "3s")
            .env("PYROSCOPE_LABELS", "region=eu-west")
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let ended = tokio::time::timeout(DEADLINE, command.output()).await;
        let output = ended
            .map_err(|_| SdkError::Deadline { client: self })?
            .map_err(|error| SdkError::Start { client: self, error })?;
        if output.status.success() {
            return Ok(());
        }
        let written = [output.stdout, output.stderr].concat();
        let written = String::from_utf8_lossy(&written).into_owned();
        Err(SdkError::Failed { client: self, status: output.status, output: written })
    }

    fn command(self) -> Result<Command, SdkError> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools").join(match self {
            Self::Go => "go",
            Self::Python14 => "python-1.4",
            Self::Python08 => "python-0.8",
            Self::Java => "java",
            Self::Node => "node",
        });
        let existing = |file: &str| {
            let path = folder.join(file);
            if path.exists() { Ok(path) } else { Err(SdkError::NotInstalled { client: self, missing: path }) }
        };
        // Its installer writes this last.
        existing("installed-from")?;
        Ok(match self {
            Self::Go => Command::new(existing("busy")?),
            Self::Python14 | Self::Python08 => {
                let mut command = Command::new(existing("venv/bin/python")?);
                command.arg(existing("busy.py")?);
                command
            }
            Self::Java => {
                let mut agent = OsString::from("-javaagent:");
                agent.push(existing("agent.jar")?);
                existing("Busy.class")?;
                let mut command = Command::new("java");
                command.arg(agent).arg("-cp").arg(&folder).arg("Busy");
                command
            }
            Self::Node => {
                existing("node_modules/@pyroscope/nodejs")?;
                let mut command = Command::new("node");
                command.arg(existing("busy.js")?);
                command
            }
        })
    }
}
