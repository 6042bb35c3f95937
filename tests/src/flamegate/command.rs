//! A command of the binary that ends by itself.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::{Flamegate, FlamegateError, binary, system};

const DEADLINE: Duration = Duration::from_secs(60);

/// What a command has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// Its exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Flamegate {
    /// Runs `flamegate` with these arguments in this folder, with this standard input, to its end.
    ///
    /// # Errors
    /// When it cannot be started, or still runs at the deadline.
    pub async fn command(folder: &Path, arguments: &[&str], stdin: &str) -> Result<Ended, FlamegateError> {
        let mut command = Command::new(binary()?);
        command.args(arguments).current_dir(folder).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(system("start flamegate"))?;
        if let Some(mut input) = child.stdin.take() {
            let stdin = stdin.to_owned();
            // One that reads nothing closes its end: that is no fault.
            tokio::spawn(async move { input.write_all(stdin.as_bytes()).await.is_ok() });
        }
        let late = || FlamegateError::Deadline { what: "end".to_owned(), deadline: DEADLINE, logs: String::new() };
        let output = timeout(DEADLINE, child.wait_with_output()).await.map_err(|_| late())?;
        let output = output.map_err(system("run flamegate"))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Ended { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) })
    }
}
