//! How fast recordings of Java become profiles, beside Grafana's own parser in Go, and in how much memory.
//!
//! The parser in Go writes messages that are not compressed: what is compared with it does so as well, and how fast it is
//! with gzip, as profiles are sent, stands beside. Memory is that of compressed profiles from a file.
//!
//! All figures are of one machine at one time: compare those of one run alone.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

mod recordings;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Args;
use procfs::process::Process;
use profiler_core::jfr::{Options, convert};
use profiler_core::pprof::Packing;

/// Of the speed of Grafana's parser.
const SPEED_GOAL: f64 = 2.0;
/// Bytes that a recording of 100 MB may take while it is converted.
const MEMORY_GOAL: u64 = 64_000_000;
/// Each recording is read so often, and for so long, at least; the fastest run counts.
const LEAST_RUNS: usize = 3;
const LEAST_TIME: Duration = Duration::from_secs(3);

/// Flags of `jfr`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Recordings, uncompressed [default: some are made, which takes a JDK and async-profiler's library]
    files: Vec<PathBuf>,
    /// Keeps the recordings that are made in this folder
    #[arg(long, value_name = "FOLDER")]
    keep: Option<PathBuf>,
    /// Converts each once and prints the memory that it took; the benchmark calls itself so
    #[arg(long, hide = true)]
    once: bool,
}

/// Prints a line for each recording.
///
/// # Errors
/// A recording cannot be read, or Go is not there.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    if flags.once {
        return flags.files.iter().try_for_each(|file| once(file));
    }
    let folder = tempfile::tempdir()?;
    let parser = build_parser(folder.path())?;
    let made = match &flags.keep {
        _ if !flags.files.is_empty() => Vec::new(),
        Some(kept) => recordings::record(kept)?,
        None => recordings::record(folder.path())?,
    };
    println!("goals: {SPEED_GOAL} times the speed, {} MB for a recording of 100 MB", MEMORY_GOAL / 1_000_000);
    println!("{:>8}  {:>10}  {:>10}  {:>6}  {:>10}  {:>10}", "MB", "MB/s", "in Go", "times", "with gzip", "memory MB");
    for file in made.iter().chain(&flags.files) {
        let size = std::fs::metadata(file).with_context(|| file.display().to_string())?.len() as f64 / 1e6;
        let times = [fastest(file, Packing::Plain)?, in_go(&parser, file)?, fastest(file, Packing::Gzip)?];
        let [own, other, packed] = times.map(|time| size / time.as_secs_f64());
        let memory = peak_of_child(file)? as f64 / 1e6;
        let name = file.display();
        println!("{size:8.1}  {own:10.1}  {other:10.1}  {:6.1}  {packed:10.1}  {memory:10.1}  {name}", own / other);
    }
    Ok(())
}

fn fastest(file: &Path, packing: Packing) -> anyhow::Result<Duration> {
    let bytes = std::fs::read(file)?;
    let (begin, mut fastest) = (Instant::now(), Duration::MAX);
    let mut runs = 0;
    while runs < LEAST_RUNS || begin.elapsed() < LEAST_TIME {
        let start = Instant::now();
        let converted = convert(&bytes.as_slice(), &Options::default())?;
        ensure!(converted.broken.is_none(), "{}: {:?}", file.display(), converted.broken);
        for profile in converted.profiles(packing) {
            std::hint::black_box(profile?);
        }
        fastest = fastest.min(start.elapsed());
        runs += 1;
    }
    Ok(fastest)
}

fn once(file: &Path) -> anyhow::Result<()> {
    let converted = convert(&File::open(file)?, &Options::default())?;
    for profile in converted.profiles(Packing::Gzip) {
        std::hint::black_box(profile?);
    }
    let peak = Process::myself()?.status()?.vmhwm.context("the kernel names no peak of memory")?;
    println!("{}", peak * 1024);
    Ok(())
}

fn peak_of_child(file: &Path) -> anyhow::Result<u64> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(output(command.args(["jfr", "--once"]).arg(file))?.trim().parse()?)
}

fn build_parser(folder: &Path) -> anyhow::Result<PathBuf> {
    let program = folder.join("jfr-parser");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("jfr-parser");
    output(Command::new("go").args(["build", "-o"]).arg(&program).arg(".").current_dir(sources))?;
    Ok(program)
}

fn in_go(program: &Path, file: &Path) -> anyhow::Result<Duration> {
    let line = output(Command::new(program).arg(file))?;
    let nanos = line.split(' ').next().unwrap_or_default();
    Ok(Duration::from_nanos(nanos.parse().with_context(|| format!("{line:?} begins with no time"))?))
}

fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}
