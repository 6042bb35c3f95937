//! Recordings to read: each is of a program that does one thing alone, and is there to be extreme.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::output;

/// Recordings by name: what async-profiler records, or the JDK itself, and what the program is to do.
const RECORDINGS: [(&str, Recorder, [&str; 3]); 4] = [
    // Each event has a stack of its own, of 90 frames on average: 100 MB of stacks.
    ("stacks", Recorder::AsyncProfiler("event=Stacks.leaf"), ["260000", "60", "4"]),
    // Few stacks, and 50 MB of events.
    ("events", Recorder::AsyncProfiler("event=Stacks.leaf"), ["3500000", "8", "1"]),
    // What a program looks like in half a minute.
    ("usual", Recorder::AsyncProfiler("event=itimer,interval=1ms,alloc=10k,wall=10ms"), ["3000000", "40", "2"]),
    ("jdk", Recorder::Jdk, ["3000000", "40", "2"]),
];

#[derive(Debug, Clone, Copy)]
enum Recorder {
    /// With these options.
    AsyncProfiler(&'static str),
    Jdk,
}

/// Makes them in a folder.
///
/// # Errors
/// There is no JDK, or async-profiler's library was not fetched.
pub(super) fn record(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/jfr/Stacks.java");
    output(Command::new("javac").arg("-d").arg(folder).arg(source))?;
    let record = |(name, recorder, arguments): (&str, Recorder, [&str; 3])| {
        let file = folder.join(name).with_extension("jfr");
        let path = file.display();
        let option = match recorder {
            Recorder::AsyncProfiler(options) => {
                // Chunks of this size are one.
                format!("-agentpath:{}=start,{options},jfr,chunksize=1g,file={path}", profiler()?.display())
            }
            Recorder::Jdk => format!("-XX:StartFlightRecording:settings=profile,filename={path}"),
        };
        output(Command::new("java").args([&option, "-Xss8m", "-cp"]).arg(folder).arg("Stacks").args(arguments))?;
        fs::metadata(&file).with_context(|| format!("{path} was not recorded"))?;
        Ok(file)
    };
    RECORDINGS.into_iter().map(record).collect()
}

fn profiler() -> anyhow::Result<PathBuf> {
    let machine = if cfg!(target_arch = "aarch64") { "linux-arm64" } else { "linux-x64" };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools/async-profiler").join(machine);
    let library = folder.join("libasyncProfiler.so");
    library.canonicalize().with_context(|| format!("{}: `cargo xtask fetch-async-profiler`", library.display()))
}
