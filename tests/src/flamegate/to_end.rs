//! A run of the binary that is to end by itself.

use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{Flamegate, FlamegateError, binary, system};

const DEADLINE: Duration = Duration::from_secs(20);

impl Flamegate {
    /// Runs `flamegate run` on this configuration to its end, and hands back its status and what it wrote to each stream.
    ///
    /// # Errors
    /// When it cannot be started, or still runs at the deadline.
    pub async fn run_to_end(configuration: &str) -> Result<Output, FlamegateError> {
        let folder = tempfile::tempdir().map_err(system("make a folder"))?;
        let file = folder.path().join("config.alloy");
        std::fs::write(&file, configuration).map_err(system("write the configuration"))?;
        let mut command = Command::new(binary()?);
        command.args(["run", "--server.http.listen-addr=127.0.0.1:0"]).arg(&file).current_dir(&folder);
        let ended = timeout(DEADLINE, command.kill_on_drop(true).output()).await;
        let late = || FlamegateError::Deadline { what: "end".to_owned(), deadline: DEADLINE, logs: String::new() };
        ended.map_err(|_| late())?.map_err(system("run flamegate"))
    }
}
