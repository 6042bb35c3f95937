//! Programs that have profiles for whoever asks, from `tests/clients/`.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::child_output::Output;

/// Each starts within a second; the rest is for a busy machine.
const START: Duration = Duration::from_secs(60);

/// What a program is made with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runtime {
    /// net/http/pprof, and godeltaprof.
    Go,
    /// @pyroscope/nodejs in its pull mode.
    Node,
    /// The `pprof` crate.
    Rust,
}

/// A program that runs; dropping it kills it.
#[derive(Debug)]
pub struct ScrapeTarget {
    address: SocketAddr,
    _child: Child,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeTargetError {
    /// It is not there.
    #[error("{missing} is absent: `cargo xtask test` installs it")]
    NotInstalled {
        /// The file.
        missing: PathBuf,
    },
    /// The operating system would not start it.
    #[error("{runtime:?}: {error}")]
    Start {
        /// Which.
        runtime: Runtime,
        /// Why.
        error: io::Error,
    },
    /// It does not say where it listens.
    #[error("{runtime:?} does not listen; it wrote:\n{logs}")]
    Silent {
        /// Which.
        runtime: Runtime,
        /// Everything it wrote.
        logs: String,
    },
}

impl Runtime {
    /// Part of the name of the function that burns CPU.
    #[must_use]
    pub fn busy_function(self) -> &'static str {
        match self {
            Self::Go | Self::Node => "burnCpuWhileRunning",
            Self::Rust => "burn_cpu_while_running",
        }
    }
}

impl ScrapeTarget {
    /// Starts it, and waits until it listens.
    ///
    /// # Errors
    /// When it is not installed, or does not listen in time.
    pub async fn start(runtime: Runtime) -> Result<Self, ScrapeTargetError> {
        let mut command = command(runtime)?;
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().map_err(|error| ScrapeTargetError::Start { runtime, error })?;
        let output = Output::of(&mut child);
        let listening = output.wait_for(|line| line.strip_prefix("listening ")?.trim().parse().ok());
        let address = timeout(START, listening).await.ok().flatten();
        let address = address.ok_or_else(|| ScrapeTargetError::Silent { runtime, logs: output.text() })?;
        Ok(Self { address, _child: child })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

fn command(runtime: Runtime) -> Result<Command, ScrapeTargetError> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools").join(match runtime {
        Runtime::Go => "go-pull",
        Runtime::Node => "node-pull",
        Runtime::Rust => "rust-pull",
    });
    let existing = |file: &str| {
        let path = folder.join(file);
        if path.exists() { Ok(path) } else { Err(ScrapeTargetError::NotInstalled { missing: path }) }
    };
    // Its installer writes this last.
    existing("installed-from")?;
    Ok(match runtime {
        Runtime::Go | Runtime::Rust => Command::new(existing("busy")?),
        Runtime::Node => {
            let mut command = Command::new("node");
            command.arg(existing("busy.js")?);
            command
        }
    })
}
