//! `import.file`: a module from a file, or from all `*.alloy` of a folder.

use std::path::Path;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::Imported;
use crate::component::{Component, Context, Health};
use crate::config::{ReadError, Sources};
use crate::latest::{Latest, Reread};
use crate::watch::{Detector, Watch, WatchSettings};

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ImportFileArguments::validate)]
pub struct ImportFileArguments {
    /// A file, or a folder whose `*.alloy` files are one module.
    #[alloy(attr)]
    filename: String,
    /// How changes are detected.
    #[alloy(attr, default = Detector::Fsnotify)]
    detector: Detector,
    /// How often it is read without a notice of the file system.
    #[alloy(attr, default = Duration::from_secs(60))]
    poll_frequency: Duration,
}

impl ImportFileArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.filename.is_empty() {
            return Err(Invalid::attribute("filename", "is empty: give the path of a file or folder"));
        }
        if self.poll_frequency.is_zero() {
            return Err(Invalid::attribute("poll_frequency", "must be greater than 0"));
        }
        Ok(())
    }
}

/// The import.
pub struct ImportFile {
    watched: WatchSettings,
    latest: Latest<Imported>,
}

impl Component for ImportFile {
    const NAME: &'static str = "import.file";
    const SUMMARY: &'static str = "Brings custom components from a file or folder, and follows its changes.";
    type Arguments = ImportFileArguments;

    fn build(arguments: &ImportFileArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let ImportFileArguments { filename, detector, poll_frequency } = arguments;
        let watched = WatchSettings { path: filename.into(), detector: *detector, poll_frequency: *poll_frequency };
        let imported = read(&watched.path).map_err(|error| Invalid::attribute("filename", error.to_string()))?;
        Ok(Self { watched, latest: Latest::new(imported, context) })
    }

    fn exports(&self) -> Value {
        self.latest.content().exports()
    }

    fn health(&self) -> Option<Health> {
        Some(self.latest.health())
    }

    fn activate(&self) {
        self.latest.follow(Module(Watch::new(self.watched.clone()), self.watched.clone()));
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.latest.stop();
        futures_util::future::ready(()).boxed()
    }
}

struct Module(Watch, WatchSettings);

impl Reread for Module {
    type Content = Imported;
    type Error = String;

    async fn next(&mut self) -> Result<Imported, String> {
        self.0.changed().await;
        let path = self.1.path.clone();
        let read = tokio::task::spawn_blocking(move || read(&path)).await;
        read.map_err(|aborted| aborted.to_string())?.map_err(|error| error.to_string())
    }
}

fn read(path: &Path) -> Result<Imported, ReadError> {
    let Sources { files, folder } = Sources::read(path)?;
    // A file's name alone lies where the process runs; nothing would mean the importing text's folder.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { &folder };
    Ok(Imported { files, module_path: folder.display().to_string().into(), remote: false })
}
