//! A run of the binary that is to end by itself.

use std::process::Output;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::{Flamegate, FlamegateError, binary, system};

const DEADLINE: Duration = Duration::from_secs(20);

impl Flamegate {
    /// Runs `flamegate run` on this configuration, with the admin listener at this address, to its end; hands back its
    /// status and what it wrote to each stream.
    ///
    /// # Errors
    /// When it cannot be started, or still runs at the deadline.
    pub async fn run_to_end(configuration: &str, admin: &str) -> Result<Output, FlamegateError> {
        let folder = tempfile::tempdir().map_err(system("make a folder"))?;
        let file = folder.path().join("config.alloy");
        std::fs::write(&file, configuration).map_err(system("write the configuration"))?;
        let mut command = Command::new(binary()?);
        command.args(["run", "--server.http.listen-addr", admin]).arg(&file).current_dir(&folder);
        let ended = timeout(DEADLINE, command.kill_on_drop(true).output()).await;
        let late = || FlamegateError::Deadline { what: "end".to_owned(), deadline: DEADLINE, logs: String::new() };
        ended.map_err(|_| late())?.map_err(system("run flamegate"))
    }
}
