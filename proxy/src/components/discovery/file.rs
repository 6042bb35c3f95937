//! `discovery.file`: targets that are written in files.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};
use profiler_core::labels::Labels;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

use self::content::ContentError;
use self::pattern::Pattern;
use super::{BySource, Discovery, Found, Search};
use crate::component::Context;
use crate::watch::{Detector, Watch, WatchSettings};
use crate::whole_file::{self, WholeFileError};

mod content;
mod pattern;
#[cfg(test)]
mod tests;
mod yaml;

/// Most bytes of a file.
const MAX_FILE: u64 = 16 << 20;
/// Most files of a component. Each is held in memory as targets.
const MOST_FILES: usize = 1000;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = DiscoveryFileArguments::validate)]
pub struct DiscoveryFileArguments {
    /// The files; the last part of a path may hold a `*`.
    #[alloy(attr)]
    files: Vec<String>,
    /// How often they are read without a notice of the file system.
    #[alloy(attr, default = Duration::from_secs(300))]
    refresh_interval: Duration,
}

impl DiscoveryFileArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.refresh_interval.is_zero() {
            return Err(Invalid::attribute("refresh_interval", "must be longer than 0s"));
        }
        self.patterns().map(drop)
    }

    fn patterns(&self) -> Result<Vec<Pattern>, Invalid> {
        let pattern = |path: &String| {
            Pattern::parse(path).map_err(|error| Invalid::attribute("files", format!("{path:?} {error}")))
        };
        self.files.iter().map(pattern).collect()
    }
}

/// The files of a block.
pub struct Files(Arc<Reading>);

/// Why the targets of a file cannot be had.
#[derive(Debug, thiserror::Error)]
enum FileError {
    #[error(transparent)]
    Read(#[from] WholeFileError),
    #[error("{0}: {1}")]
    Content(String, ContentError),
}

impl Discovery for Files {
    const NAME: &'static str = "discovery.file";
    const SUMMARY: &'static str = "Exports the targets that are written in files, and follows their changes.";
    type Arguments = DiscoveryFileArguments;

    fn build(arguments: &Self::Arguments, _: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let seen = previous.map(|previous| previous.0.seen().clone()).unwrap_or_default();
        let (patterns, refresh_interval) = (arguments.patterns()?, arguments.refresh_interval);
        Ok(Self(Arc::new(Reading { patterns, refresh_interval, seen: Mutex::new(seen) })))
    }

    fn first(&self, _: Vec<Labels>) -> Found {
        self.0.read()
    }

    fn search(&self) -> impl Search {
        Following::new(self.0.clone())
    }
}

/// What is read, and what was found there when it could be read last.
struct Reading {
    patterns: Vec<Pattern>,
    refresh_interval: Duration,
    seen: Mutex<BySource<PathBuf>>,
}

impl Reading {
    /// Reads all of them. One that cannot be read keeps its targets; those of one that is gone go with it.
    fn read(&self) -> Found {
        let (mut paths, mut problems) = (BTreeSet::new(), Vec::new());
        for pattern in &self.patterns {
            match pattern.paths() {
                Ok(found) => paths.extend(found),
                Err(error) => {
                    problems.push(format!("cannot look for {pattern}: {error}"));
                    paths.extend(self.seen().keys().filter(|path| pattern.matches(path)).cloned());
                }
            }
        }
        if paths.len() > MOST_FILES {
            problems.push(format!("{} files are more than {MOST_FILES}: the others are not read", paths.len()));
        }
        let mut before = std::mem::take(&mut *self.seen());
        let (mut seen, mut targets) = (BySource::new(), Vec::new());
        for path in paths.into_iter().take(MOST_FILES) {
            let groups = read(&path).unwrap_or_else(|error| {
                problems.push(error.to_string());
                before.remove(&path).unwrap_or_default()
            });
            targets.extend(groups.iter().cloned());
            seen.insert(path, groups);
        }
        *self.seen() = seen;
        Found { targets, problems }
    }

    fn seen(&self) -> MutexGuard<'_, BySource<PathBuf>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the files when they change.
struct Following {
    files: Arc<Reading>,
    told: Arc<Notify>,
    /// One for each path; end with this.
    _watching: JoinSet<()>,
}

impl Following {
    /// Runs on the runtime.
    fn new(files: Arc<Reading>) -> Self {
        let told = Arc::new(Notify::new());
        let mut watching = JoinSet::new();
        let places: BTreeSet<&Path> = files.patterns.iter().map(Pattern::watched).collect();
        for path in places {
            let settings = WatchSettings {
                path: path.to_owned(),
                detector: Detector::Fsnotify,
                poll_frequency: files.refresh_interval,
            };
            let (mut watch, told) = (Watch::new(settings), told.clone());
            watching.spawn(async move {
                loop {
                    watch.changed().await;
                    told.notify_one();
                }
            });
        }
        Self { files, told, _watching: watching }
    }
}

impl Search for Following {
    async fn next(&mut self) -> Found {
        // Without a notice, too: a watch does not see what a link of a folder leads to.
        tokio::select! {
            () = self.told.notified() => {}
            () = sleep(self.files.refresh_interval) => {}
        }
        let files = self.files.clone();
        tokio::task::spawn_blocking(move || files.read()).await.unwrap_or_else(|aborted| Found {
            targets: self.files.seen().values().flatten().cloned().collect(),
            problems: vec![format!("reading broke off: {aborted}")],
        })
    }
}

fn read(path: &Path) -> Result<Vec<Labels>, FileError> {
    let bytes = whole_file::read(path, MAX_FILE)?;
    content::targets(path, &bytes).map_err(|error| FileError::Content(path.display().to_string(), error))
}
