//! The program that is sampled.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

pub(crate) struct Target {
    child: Child,
    gate: Option<ChildStdin>,
}

impl Target {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self { child: Command::new(compiled()).args(arguments).spawn().unwrap(), gate: None }
    }

    /// A shell that waits for [`Target::let_go`] and then becomes the program.
    pub(crate) fn start_through_exec() -> Self {
        let mut child = Command::new("sh")
            .args(["-c", "read line; exec \"$0\""])
            .arg(compiled())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let gate = child.stdin.take();
        Self { child, gate }
    }

    pub(crate) fn let_go(&mut self) {
        self.gate.as_mut().unwrap().write_all(b"go\n").unwrap();
    }

    /// Lets it open the library, or make its visits.
    pub(crate) fn permit(&self) {
        let status = Command::new("kill").args(["-USR2", &self.pid().to_string()]).status().unwrap();
        assert!(status.success(), "kill: {status}");
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The library that the program opens when it is told to.
pub(crate) fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| compile("live-library.so", &["-DLIBRARY", "-shared", "-fPIC"]))
}

pub(crate) fn compiled() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| compile("live-target", &[]))
}

/// Optimised, without frame pointers.
fn compile(name: &str, flags: &[&str]) -> PathBuf {
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/target.c");
    let status = Command::new("cc")
        .args(["-O2", "-fomit-frame-pointer", "-Wall", "-Werror"])
        .args(flags)
        .arg("-o")
        .args([&output, &source])
        .arg("-ldl")
        .status()
        .unwrap_or_else(|error| panic!("this test needs a C compiler, cc: {error}"));
    assert!(status.success(), "cc: {status}");
    output
}
