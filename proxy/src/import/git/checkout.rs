//! Where checkouts stand: each commit in a folder of its own, so that no reader sees half of one.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

/// The one in use, and the one before it: what could not be evaluated again goes on with that.
const KEPT: usize = 2;

/// Folders of imports are told by it.
const PREFIX: &str = "git-";

/// The folder of one import, removed with it.
pub(super) struct Checkouts {
    folder: TempDir,
    /// What processes have left that did not end well.
    forgotten: Vec<PathBuf>,
    /// Those that were read, the latest last.
    read: Mutex<VecDeque<PathBuf>>,
}

impl Checkouts {
    /// In a folder of their own, in the component's.
    pub(super) fn new(component: &Path, before: Option<&Self>) -> io::Result<Self> {
        // Modules name their files by it: relative paths would change their meaning with the reader's.
        let component = std::path::absolute(component)?;
        std::fs::create_dir_all(&component)?;
        // Looked for before there is anything new, and while the import that ran before is still in use.
        let mut forgotten = entries(&component)?;
        forgotten.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(PREFIX)));
        forgotten.retain(|path| before.is_none_or(|before| before.folder.path() != path));
        let folder = tempfile::Builder::new().prefix(PREFIX).tempdir_in(&component)?;
        Ok(Self { folder, forgotten, read: Mutex::default() })
    }

    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where a commit is checked out.
    pub(super) fn of(&self, commit: &str) -> PathBuf {
        self.folder.path().join(commit)
    }

    /// Takes note of one that was read, and removes all but the latest. Blocks.
    pub(super) fn keep(&self, latest: &Path) {
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        read.retain(|checkout| checkout != latest);
        read.push_back(latest.to_owned());
        while read.len() > KEPT
            && let Some(old) = read.pop_front()
        {
            remove(&old);
        }
    }

    /// Removes one that cannot be read, unless it could be before. Blocks.
    pub(super) fn discard(&self, checkout: &Path) {
        let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        if read.iter().all(|kept| kept != checkout) {
            remove(checkout);
        }
    }

    /// Removes what processes have left that did not end well. Blocks.
    pub(super) fn remove_forgotten(&self) {
        for folder in &self.forgotten {
            remove(folder);
        }
    }
}

/// The files of a module: what a configuration's folder is read for.
pub(super) fn modules_in(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !path.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = entries(path)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "alloy"));
    Ok(paths)
}

fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    std::fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect()
}

fn remove(folder: &Path) {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(folder = %folder.display(), err = %error, "an old checkout cannot be removed");
        }
        _ => {}
    }
}
