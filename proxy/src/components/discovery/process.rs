//! `discovery.process`: targets that are the processes of this host.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};
use profiler_core::labels::Labels;
use tokio::time::{Instant, sleep_until};

use self::look::{Looked, look};
use super::super::targets::Targets;
use super::{Discovery, Found, Search};
use crate::component::Context;
use crate::filters::Rows;
use crate::telemetry::metrics::ComponentLabels;

mod join;
mod look;
#[cfg(test)]
mod tests;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = DiscoveryProcessArguments::validate)]
pub struct DiscoveryProcessArguments {
    /// Targets that are containers: a process in one of them has its labels too. Each is a target of its own besides.
    #[alloy(attr, optional)]
    join: Targets,
    /// How often the processes are looked for.
    #[alloy(attr, default = Duration::from_secs(60))]
    refresh_interval: Duration,
    /// What is looked for of each process.
    #[alloy(block, optional)]
    discover_config: Details,
}

/// What is looked for of each process. One that has no program, or whose program, folder, arguments or cgroups are
/// looked for and may not be seen, is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Arguments)]
struct Details {
    /// The program: `__meta_process_exe`.
    #[alloy(attr, default = true)]
    exe: bool,
    /// The working folder: `__meta_process_cwd`.
    #[alloy(attr, default = true)]
    cwd: bool,
    /// The first 32 KiB of its arguments: `__meta_process_commandline`.
    #[alloy(attr, default = true)]
    commandline: bool,
    /// The number of its user: `__meta_process_uid`.
    #[alloy(attr, default = true)]
    uid: bool,
    /// The name of its user: `__meta_process_username`.
    #[alloy(attr, default = true)]
    username: bool,
    /// Its cgroups, with `|` between them: `__meta_process_cgroup_path`.
    #[alloy(attr, default = false)]
    cgroup_path: bool,
    /// The container it runs in: `__container_id__`.
    #[alloy(attr, default = true)]
    container_id: bool,
}

impl DiscoveryProcessArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.refresh_interval.is_zero() {
            return Err(Invalid::attribute("refresh_interval", "must be longer than 0s"));
        }
        Ok(())
    }
}

/// The processes of a block.
pub struct Processes(Arc<Looking>);

struct Looking {
    details: Details,
    refresh_interval: Duration,
    join: Rows,
    seen: Mutex<Seen>,
    component: ComponentLabels,
}

/// What was found last.
#[derive(Clone, Default)]
struct Seen {
    processes: Arc<[Labels]>,
    /// When; none where nobody has looked.
    at: Option<Instant>,
    /// Whether there was something that may not be looked at.
    refused: bool,
}

impl Discovery for Processes {
    const NAME: &'static str = "discovery.process";
    const SUMMARY: &'static str = "Exports the processes of this host, joined with the containers they run in.";
    type Arguments = DiscoveryProcessArguments;

    fn build(arguments: &Self::Arguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let (details, refresh_interval) = (arguments.discover_config, arguments.refresh_interval);
        let previous = previous.map(|previous| &*previous.0);
        let join = arguments.join.rows(previous.map(|previous| &previous.join));
        // Containers come and go more often than the processes are looked for.
        let seen = previous.filter(|previous| previous.details == details).map(|previous| previous.seen().clone());
        let (seen, component) = (Mutex::new(seen.unwrap_or_default()), context.component.clone());
        Ok(Self(Arc::new(Looking { details, refresh_interval, join, seen, component })))
    }

    fn first(&self, _: Vec<Labels>) -> Found {
        if self.0.seen().at.is_none() { self.0.look() } else { self.0.found() }
    }

    fn search(&self) -> impl Search {
        Following(self.0.clone())
    }
}

struct Following(Arc<Looking>);

impl Search for Following {
    async fn next(&mut self) -> Found {
        let last = self.0.seen().at.unwrap_or_else(Instant::now);
        sleep_until(last + self.0.refresh_interval).await;
        let looking = self.0.clone();
        tokio::task::spawn_blocking(move || looking.look()).await.unwrap_or_else(|aborted| {
            self.0.seen().at = Some(Instant::now());
            let found = self.0.found();
            Found { problems: vec![format!("looking broke off: {aborted}")], ..found }
        })
    }
}

impl Looking {
    /// Looks at all processes. Where there is no /proc those of before stay.
    fn look(&self) -> Found {
        let looked = look(self.details);
        let mut problems = Vec::new();
        {
            let mut seen = self.seen();
            seen.at = Some(Instant::now());
            match looked {
                Ok(Looked { processes, refused, left_out }) => {
                    seen.processes = processes.into();
                    problems.extend(left_out);
                    if let Some(error) = refused.as_ref().filter(|_| !seen.refused) {
                        let component_id = &self.component;
                        tracing::warn!(%component_id, err = %error, "not all processes may be looked at: run as root, in the host's namespace of pids");
                    }
                    seen.refused = refused.is_some();
                }
                Err(error) => problems.push(format!("cannot list the processes in /proc: {error}")),
            }
        }
        let mut found = self.found();
        found.problems.extend(problems);
        found
    }

    fn found(&self) -> Found {
        let processes = self.seen().processes.clone();
        join::join(&processes, self.join.targets())
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
