//! What recording JVMs costs the program that has it done: each program in turn records the same JVMs with the same
//! configuration. What it costs the JVMs is async-profiler's.
//!
//! All figures are of one machine at one time: compare those of one run alone.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::{Args, value_parser};
use tokio::runtime::Runtime;

use crate::load::configuration;
use crate::load::process_group::{Memory, ProcessGroup};
use crate::load::program::{Against, FLAMEGATE, binary, flamegate, start_sink, write};
use crate::scrape::handed_on_by;

/// Flags of `java`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How many JVMs there are
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=100))]
    jvms: u32,
    /// Seconds of each recording
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    interval: u64,
    /// Intervals that are measured, after two of warming up
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u32).range(1..=1000))]
    intervals: u32,
    /// Another program, measured in turns with Flamegate: a shell runs COMMAND with CONFIG_DIR set, where there is
    /// config.alloy
    #[arg(long, value_name = "NAME=COMMAND")]
    against: Vec<Against>,
    /// Flamegate's binary [default: beside this program]
    #[arg(long, value_name = "FILE")]
    flamegate: Option<PathBuf>,
}

/// What a program came to.
struct Sample {
    /// CPU seconds of all intervals that were measured.
    cpu: f64,
    profiles: u64,
    memory: Memory,
}

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let Flags { jvms, interval, intervals, .. } = *flags;
    println!("{jvms} JVMs, recorded for {interval} s each time, {intervals} times");
    println!("{:<20} {:>24} {:>10} {:>13} {:>12}", "", "CPU a JVM and interval", "profiles", "resident", "peak");
    let others = flags.against.iter().map(Some);
    for program in [None].into_iter().chain(others) {
        let name = program.map_or(FLAMEGATE, Against::name);
        let sample = measure(flags, program).with_context(|| name.to_owned())?;
        let recordings = f64::from(jvms) * f64::from(intervals);
        println!(
            "{name:<20} {:>21.2} ms {:>10} {:>10.1} MB {:>9.1} MB",
            sample.cpu * 1e3 / recordings,
            sample.profiles,
            sample.memory.resident as f64 / 1e6,
            sample.memory.peak as f64 / 1e6
        );
    }
    Ok(())
}

/// Flamegate, or the program that is named.
fn measure(flags: &Flags, program: Option<&Against>) -> anyhow::Result<Sample> {
    let folder = tempfile::tempdir().context("cannot make a folder for the program's files")?;
    let jvms = Jvms::start(flags.jvms, folder.path())?;
    let runtime = Runtime::new()?;
    let sink = runtime.block_on(start_sink(folder.path())).context("the sink")?;
    let text = configuration::recording(jvms.pids(), flags.interval, sink.address);
    write(folder.path(), "config.alloy", &text)?;
    let mut command = match program {
        None => flamegate(&binary(flags.flamegate.as_deref())?, &text, ([127, 0, 0, 1], 0).into(), folder.path())?,
        Some(against) => against.command(folder.path()),
    };
    let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools/async-profiler");
    command.env("FLAMEGATE_ASYNC_PROFILER", library);
    let mut group = ProcessGroup::start(command, &folder.path().join("log"))?;
    let interval = Duration::from_secs(flags.interval);
    // The first time takes longer: libraries are placed, and each JVM begins to listen.
    sleep(interval * 2);
    group.check_running()?;
    let (cpu, before) = (group.cpu_seconds()?, handed_on_by(&runtime, &sink)?);
    sleep(interval * flags.intervals);
    group.check_running()?;
    let profiles = handed_on_by(&runtime, &sink)? - before;
    let due = u64::from(flags.jvms) * u64::from(flags.intervals);
    ensure!(profiles >= due / 2, "{profiles} profiles came of {due} recordings; {}", group.log_end());
    Ok(Sample { cpu: group.cpu_seconds()? - cpu, profiles, memory: group.memory()? })
}

/// JVMs that work a little; ended when dropped.
struct Jvms(Vec<Child>);

impl Jvms {
    fn start(number: u32, folder: &Path) -> anyhow::Result<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/tests/java/Work.java");
        let compiled = Command::new("javac").arg("-d").arg(folder).arg(source).status().context("javac")?;
        ensure!(compiled.success(), "javac ended with {compiled}");
        let mut jvms = Self(Vec::new());
        for _ in 0..number {
            let mut java = Command::new("java");
            java.args(["-Xmx32m", "-XX:+UseSerialGC", "-cp"]).arg(folder).args(["Work", "100"]);
            let mut jvm = java.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().context("java")?;
            let output = jvm.stdout.take().context("a pipe")?;
            jvms.0.push(jvm);
            let mut line = String::new();
            BufReader::new(output).read_line(&mut line)?;
            ensure!(line == "working\n", "the JVM does not work: {line:?}");
        }
        Ok(jvms)
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        self.0.iter().map(Child::id)
    }
}

impl Drop for Jvms {
    fn drop(&mut self) {
        for jvm in &mut self.0 {
            // What has ended already needs no end.
            let _ended = jvm.kill().and_then(|()| jvm.wait());
        }
    }
}
