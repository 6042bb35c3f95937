//! What scraping costs: many targets that answer at once, or some with large heap profiles, and each program in turn
//! asking them all with the same configuration.
//!
//! All figures are of one machine at one time: compare those of one run alone.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

mod profiles;
mod targets;

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::{Args, Subcommand, value_parser};
use tokio::runtime::Runtime;

use self::targets::Fleet;
use crate::load::configuration;
use crate::load::connection::Connection;
use crate::load::process_group::ProcessGroup;
use crate::load::program::{Against, FLAMEGATE, Running, binary, flamegate, start_sink, write};
use crate::sink::COUNT_PATH;

/// Of the reference's CPU time, and of its memory.
const CPU_GOAL: f64 = 1.0 / 3.0;
const MEMORY_GOAL: f64 = 1.0 / 5.0;
/// Of the profiles that are due; a program that hands on fewer does other work.
const LEAST: f64 = 0.8;

/// Flags of `scrape`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How many targets there are
    #[arg(long, default_value_t = 5000, value_parser = value_parser!(u16).range(1..=20_000))]
    targets: u16,
    /// Seconds between two scrapes of a target
    #[arg(long, default_value_t = 15, value_parser = value_parser!(u64).range(4..=600))]
    interval: u64,
    /// Intervals that are measured, after four of warming up
    #[arg(long, default_value_t = 4, value_parser = value_parser!(u32).range(1..=1000))]
    intervals: u32,
    /// Scrapes heap profiles of this size alone, in bytes once unpacked, as in 2MB [default: small ones, and goroutines
    /// and CPU]
    #[arg(long, value_name = "SIZE")]
    heap: Option<Size>,
    /// Another program, measured in turns with Flamegate: a shell runs COMMAND with CONFIG_DIR set, where there is
    /// config.alloy
    #[arg(long, value_name = "NAME=COMMAND")]
    against: Vec<Against>,
    /// Flamegate's binary [default: beside this program]
    #[arg(long, value_name = "FILE")]
    flamegate: Option<PathBuf>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What the benchmark starts as processes of their own.
#[derive(Debug, Subcommand)]
enum Part {
    /// Plays targets
    #[command(hide = true)]
    Targets(targets::Flags),
}

/// Bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size(usize);

impl FromStr for Size {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = match unit {
            "" | "B" => 1,
            "KB" => 1000,
            "MB" => 1_000_000,
            _ => bail!("`{unit}` is no unit: write B, KB or MB"),
        };
        let number: usize = number.parse().context("there is no number before the unit, as in 2MB")?;
        let size = number.saturating_mul(unit);
        ensure!((1000..=32_000_000).contains(&size), "a heap profile here has from 1KB to 32MB");
        Ok(Self(size))
    }
}

/// A program under measurement.
enum Program {
    Flamegate(PathBuf),
    Against(Against),
}

impl Program {
    fn name(&self) -> &str {
        match self {
            Self::Flamegate(_) => FLAMEGATE,
            Self::Against(against) => against.name(),
        }
    }
}

/// What a program came to.
struct Sample {
    /// Profiles that it has handed on a second.
    profiles: f64,
    /// CPU seconds of 1,000 of them.
    cpu_per_1000: f64,
    /// CPU seconds a second.
    cpu: f64,
    /// Bytes at the end.
    resident: f64,
    /// Bytes at the most.
    peak: f64,
}

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    if let Some(Part::Targets(flags)) = &flags.part {
        return targets::run(flags);
    }
    let binary = binary(flags.flamegate.as_deref())?;
    let against = flags.against.iter().cloned().map(Program::Against);
    let programs: Vec<Program> = [Program::Flamegate(binary)].into_iter().chain(against).collect();

    let what = flags.heap.map_or("small profiles of three kinds".to_owned(), |Size(size)| {
        format!("heap profiles of {:.1} MB", size as f64 / 1e6)
    });
    println!("{} targets, {what}, each {} s, for {} s", flags.targets, flags.interval, flags.measured().as_secs());
    println!("{:<20} {:>12} {:>16} {:>10} {:>13} {:>12}", "", "profiles/s", "CPU s / 1,000", "CPU", "resident", "peak");
    let mut samples = Vec::new();
    for program in &programs {
        let sample = measure(flags, program).with_context(|| program.name().to_owned())?;
        println!(
            "{:<20} {:>12.1} {:>16.3} {:>8.1} % {:>10.1} MB {:>9.1} MB",
            program.name(),
            sample.profiles,
            sample.cpu_per_1000,
            sample.cpu * 100.0,
            sample.resident / 1e6,
            sample.peak / 1e6
        );
        samples.push(sample);
    }
    let Some((ours, others)) = samples.split_first() else { return Ok(()) };
    for (program, theirs) in programs.iter().skip(1).zip(others) {
        println!(
            "flamegate / {}: CPU {:.2} (goal <= {CPU_GOAL:.2}), resident {:.2} (goal <= {MEMORY_GOAL:.2}), peak {:.2}",
            program.name(),
            ours.cpu_per_1000 / theirs.cpu_per_1000,
            ours.resident / theirs.resident,
            ours.peak / theirs.peak
        );
    }
    Ok(())
}

impl Flags {
    fn measured(&self) -> Duration {
        Duration::from_secs(self.interval) * self.intervals
    }

    /// Profiles a second.
    fn due(&self) -> f64 {
        let kinds = if self.heap.is_some() { 1.0 } else { 3.0 };
        f64::from(self.targets) * kinds / self.interval as f64
    }
}

fn measure(flags: &Flags, program: &Program) -> anyhow::Result<Sample> {
    let folder = tempfile::tempdir().context("cannot make a folder for the program's files")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fleet = Fleet::start(flags, folder.path())?;
    let sink = runtime.block_on(start_sink(folder.path())).context("the sink")?;
    let configuration = configuration::scraping(&fleet.addresses, flags.interval, flags.heap.is_some(), sink.address);
    let mut group = start(program, &configuration, folder.path())?;

    // The first scrape comes within two intervals, and is no delta yet; in the third and fourth the memory settles.
    sleep(Duration::from_secs(flags.interval) * 4);
    group.check_running()?;
    let (cpu, before, began) = (group.cpu_seconds()?, handed_on_by(&runtime, &sink)?, Instant::now());
    sleep(flags.measured());
    group.check_running()?;
    let seconds = began.elapsed().as_secs_f64();
    let cpu = group.cpu_seconds()? - cpu;
    let handed_on = (handed_on_by(&runtime, &sink)? - before) as f64;
    let memory = group.memory()?;

    let profiles = handed_on / seconds;
    ensure!(
        profiles >= LEAST * flags.due(),
        "of {:.0} profiles a second that are due it has handed on {profiles:.0}; {}",
        flags.due(),
        group.log_end()
    );
    Ok(Sample {
        profiles,
        cpu_per_1000: cpu / handed_on * 1e3,
        cpu: cpu / seconds,
        resident: memory.resident as f64,
        peak: memory.peak as f64,
    })
}

fn start(program: &Program, configuration: &str, folder: &Path) -> anyhow::Result<ProcessGroup> {
    let command = match program {
        Program::Flamegate(binary) => flamegate(binary, configuration, ([127, 0, 0, 1], 0).into(), folder)?,
        Program::Against(against) => {
            write(folder, "config.alloy", configuration)?;
            against.command(folder)
        }
    };
    ProcessGroup::start(command, &folder.join("log"))
}

/// Profiles that have reached the sink.
pub(crate) fn handed_on_by(runtime: &Runtime, sink: &Running) -> anyhow::Result<u64> {
    runtime.block_on(async {
        let answer = Connection::open(sink.address).await?.fetch(COUNT_PATH).await?;
        let text = String::from_utf8(answer.body)?;
        let (requests, _bytes) = text.split_once(' ').context("the sink's count is not two numbers")?;
        Ok(requests.parse()?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        assert_eq!("2MB".parse::<Size>().unwrap(), Size(2_000_000));
        assert_eq!("150KB".parse::<Size>().unwrap(), Size(150_000));
        for refused in ["", "MB", "2GB", "2 MB", "0MB", "64MB", "10B"] {
            assert!(refused.parse::<Size>().is_err(), "{refused}");
        }
    }
}
