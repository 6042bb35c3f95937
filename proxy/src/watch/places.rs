//! Where to listen for changes of a path.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many symbolic links as the kernel follows.
const MOST_LINKS: usize = 40;

/// Folders, and the names in them that matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    names: BTreeMap<PathBuf, BTreeSet<OsString>>,
    /// A folder in which every name matters.
    whole: Option<PathBuf>,
    /// Device and inode of each folder: another one may take its place.
    identities: Vec<Option<(u64, u64)>>,
}

impl Places {
    /// The places on the way to a path: each symbolic link, and where it ends. What does not exist is waited for in
    /// the folder that would hold it.
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let mut places = Self::default();
        let mut folder = PathBuf::new();
        let mut rest = steps(&std::path::absolute(path)?);
        let mut links = 0;
        while let Some(step) = rest.pop_front() {
            let name = match step {
                Step::Root => {
                    folder = PathBuf::from("/");
                    continue;
                }
                Step::Up => {
                    folder.pop();
                    continue;
                }
                Step::Into(name) => name,
            };
            let here = folder.join(&name);
            let kind = std::fs::symlink_metadata(&here).map(|metadata| metadata.file_type());
            match kind {
                Ok(kind) if kind.is_symlink() && links < MOST_LINKS => {
                    links += 1;
                    places.add(&folder, name);
                    // One that vanishes meanwhile is waited for as what does not exist.
                    let Ok(target) = std::fs::read_link(&here) else { break };
                    let mut target = steps(&target);
                    target.append(&mut rest);
                    rest = target;
                }
                Ok(kind) if kind.is_dir() && !rest.is_empty() => folder = here,
                Ok(kind) if kind.is_dir() => {
                    places.add(&folder, name);
                    places.names.entry(here.clone()).or_default();
                    places.whole = Some(here);
                }
                Ok(_) | Err(_) => {
                    places.add(&folder, name);
                    break;
                }
            }
        }
        places.identities = places.names.keys().map(|folder| identity(folder)).collect();
        Ok(places)
    }

    pub(super) fn folders(&self) -> impl Iterator<Item = &Path> {
        self.names.keys().map(PathBuf::as_path)
    }

    /// Whether it is one of the folders itself.
    pub(super) fn is_folder(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }

    /// Whether what happens to this path matters.
    pub(super) fn concern(&self, path: &Path) -> bool {
        if self.is_folder(path) {
            return true;
        }
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return false };
        self.whole.as_deref() == Some(folder) || self.names.get(folder).is_some_and(|names| names.contains(name))
    }

    fn add(&mut self, folder: &Path, name: OsString) {
        self.names.entry(folder.to_owned()).or_default().insert(name);
    }
}

enum Step {
    Root,
    Up,
    Into(OsString),
}

fn steps(path: &Path) -> VecDeque<Step> {
    let step = |component| match component {
        Component::RootDir => Some(Step::Root),
        Component::ParentDir => Some(Step::Up),
        Component::Normal(name) => Some(Step::Into(name.to_owned())),
        Component::CurDir | Component::Prefix(_) => None,
    };
    path.components().filter_map(step).collect()
}

fn identity(folder: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(folder).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}
