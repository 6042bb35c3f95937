//! Processes that look like a JVM, and those that are none.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use super::program::{Target, compile, open_folder};

/// A process of nobody in particular with a library of that name in its memory, which behaves as `words` say.
pub(crate) fn start(library: &str, words: &[&str]) -> Target {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "4321", "--regid", "4321", "--clear-groups"]).arg(program()).args(words);
    // Where it can write.
    let folder = tempfile::tempdir_in(open_folder()).unwrap();
    std::os::unix::fs::chown(folder.path(), Some(4321), Some(4321)).unwrap();
    Target::ready(command.env("LD_PRELOAD", with_name(library)).current_dir(&folder), "fake").within(folder)
}

fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| compile("cc", "fake.c", "fake", &[]))
}

fn with_name(library: &str) -> PathBuf {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one_at_a_time = ONE.lock().unwrap();
    let path = open_folder().join(library);
    if path.exists() { path } else { compile("cc", "empty.c", library, &["-shared", "-fPIC"]) }
}
