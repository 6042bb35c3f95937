//! `local.file`: the content of a file, for example of a password, for other components.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Invalid, OptionalSecret, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::component::{Component, Context, Health};
use crate::latest::{Latest, Reread};
use crate::telemetry::metrics::{ComponentLabels, IntGauge, Metrics};
use crate::watch::{Detector, Watch, WatchSettings};
use crate::whole_file::{self, WholeFileError};

/// Most bytes of the file. It is held in memory, and by each component that refers to it.
const MAX_FILE: u64 = 16 << 20;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = LocalFileArguments::validate)]
pub struct LocalFileArguments {
    /// The file.
    #[alloy(attr)]
    filename: String,
    /// How changes are detected.
    #[alloy(attr, default = Detector::Fsnotify)]
    detector: Detector,
    /// How often it is read without a notice of the file system.
    #[alloy(attr, default = Duration::from_secs(60))]
    poll_frequency: Duration,
    /// Whether the content must not be shown.
    #[alloy(attr, optional)]
    is_secret: bool,
}

impl LocalFileArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.filename.is_empty() {
            return Err(Invalid::attribute("filename", "is empty: give the path of a file"));
        }
        if self.poll_frequency.is_zero() {
            return Err(Invalid::attribute("poll_frequency", "must be greater than 0"));
        }
        Ok(())
    }
}

/// The running component.
pub struct LocalFile {
    watched: WatchSettings,
    is_secret: bool,
    latest: Latest<OptionalSecret>,
    last_accessed: IntGauge,
    component: ComponentLabels,
    metrics: std::sync::Arc<Metrics>,
}

/// Why a file's content cannot be had.
#[derive(Debug, thiserror::Error)]
enum LocalFileError {
    #[error(transparent)]
    Read(#[from] WholeFileError),
    #[error("{0} is not UTF-8: {1}")]
    NotText(String, std::str::Utf8Error),
    #[error("reading broke off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl Component for LocalFile {
    const NAME: &'static str = "local.file";
    const SUMMARY: &'static str = "Exports what is in a file, and follows its changes.";
    const EXPORTS: &'static [Export] = &[Export {
        name: "content",
        type_name: "string or secret",
        doc: "The file's text; a secret if is_secret says so.",
    }];
    type Arguments = LocalFileArguments;

    fn build(arguments: &LocalFileArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let LocalFileArguments { filename, detector, poll_frequency, is_secret } = arguments;
        let watched = WatchSettings { path: filename.into(), detector: *detector, poll_frequency: *poll_frequency };
        let content = read(&watched.path, *is_secret);
        let content = content.map_err(|error| Invalid::attribute("filename", error.to_string()))?;
        let (component, metrics) = (context.component.clone(), context.services.metrics.clone());
        let last_accessed = metrics.local_file(&component);
        let latest = Latest::new(content, context);
        Ok(Self { watched, is_secret: *is_secret, latest, last_accessed, component, metrics })
    }

    fn exports(&self) -> Value {
        Value::object([("content", Value::from(self.latest.content()))])
    }

    fn health(&self) -> Option<Health> {
        Some(self.latest.health())
    }

    fn activate(&self) {
        self.latest.follow(Following {
            watch: Watch::new(self.watched.clone()),
            watched: self.watched.clone(),
            is_secret: self.is_secret,
            last_accessed: self.last_accessed.clone(),
        });
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.latest.stop();
        futures_util::future::ready(()).boxed()
    }

    fn forget(&self) {
        self.metrics.forget(&self.component);
    }
}

struct Following {
    watch: Watch,
    watched: WatchSettings,
    is_secret: bool,
    last_accessed: IntGauge,
}

impl Reread for Following {
    type Content = OptionalSecret;
    type Error = LocalFileError;

    async fn next(&mut self) -> Result<OptionalSecret, LocalFileError> {
        self.watch.changed().await;
        let (path, is_secret) = (self.watched.path.clone(), self.is_secret);
        let content = tokio::task::spawn_blocking(move || read(&path, is_secret)).await??;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_accessed.set(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        Ok(content)
    }
}

fn read(path: &Path, is_secret: bool) -> Result<OptionalSecret, LocalFileError> {
    let bytes = whole_file::read(path, MAX_FILE)?;
    let text = str::from_utf8(&bytes).map_err(|error| LocalFileError::NotText(path.display().to_string(), error))?;
    Ok(if is_secret { OptionalSecret::secret(text) } else { OptionalSecret::plain(text) })
}
