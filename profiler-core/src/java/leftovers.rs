//! What a process that died has left in the files of targets.

use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;

use super::placement::{TmpDir, left_in, remove_left};
use crate::process::{Root, pids};

/// Removes the folders that no process uses any more, in the files of all processes that can be seen, and returns how
/// many. Those of JVMs that are recorded by a process that lives stay.
#[must_use]
pub fn clean_leftovers(tmp_dir: &TmpDir) -> usize {
    let mut seen = HashSet::new();
    let mut removed = 0;
    // What cannot be looked at could not have been written to.
    for pid in pids().unwrap_or_default() {
        let mounts = std::fs::metadata(format!("/proc/{pid}/ns/mnt"));
        let root = std::fs::metadata(format!("/proc/{pid}/root/."));
        let (Ok(mounts), Ok(folder)) = (mounts, root) else { continue };
        if seen.insert((mounts.ino(), folder.dev(), folder.ino())) {
            removed += Root::of(pid).map_or(0, |root| clean(&root, tmp_dir));
        }
    }
    removed
}

fn clean(root: &Root, tmp_dir: &TmpDir) -> usize {
    let parents = tmp_dir.candidates().filter_map(|parent| root.folder_itself(parent).ok());
    let mut removed = 0;
    for parent in parents {
        for (name, owner) in left_in(&parent).unwrap_or_default() {
            removed += usize::from(owner.act(|| remove_left(&parent, &name)).is_ok_and(|done| done.unwrap_or(false)));
        }
    }
    removed
}
