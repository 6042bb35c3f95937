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

/// Optimised, without frame pointers.
fn compiled() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("live-target");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/live/target.c");
        let status = Command::new("cc")
            .args(["-O2", "-fomit-frame-pointer", "-o"])
            .args([&program, &source])
            .status()
            .unwrap_or_else(|error| panic!("this test needs a C compiler, cc: {error}"));
        assert!(status.success(), "cc: {status}");
        program
    })
}
