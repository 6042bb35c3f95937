//! Whole programs that profile the machine, with the same configuration, one after the other.

use std::collections::HashMap;
use std::thread::sleep;
use std::time::Duration;

use anyhow::Context;
use tokio::runtime::Runtime;

use super::work::Busy;
use super::{Flags, median};
use crate::load::configuration;
use crate::load::process_group::{Memory, ProcessGroup};
use crate::load::program::{Against, binary, flamegate, start_sink, write};

/// The rate of the goals.
const RATE: u32 = 97;
/// What the reference's start was measured over.
const START: Duration = Duration::from_secs(14);

/// A program under measurement.
enum Program {
    Flamegate,
    Against(Against),
}

/// What one round of a program came to.
struct Sample {
    /// CPU seconds of its first [`START`].
    start: f64,
    /// CPU seconds a second, afterwards.
    cpu: f64,
    /// Seconds a second in the kernel's programs, afterwards.
    in_kernel: f64,
    memory: Memory,
    /// Of the work that is done without it.
    lost: f64,
}

/// Measures Flamegate and what it is compared with, and prints.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let programs = [Program::Flamegate].into_iter().chain(flags.against.iter().cloned().map(Program::Against));
    let programs: Vec<Program> = programs.collect();
    let mut samples: Vec<Vec<Sample>> = programs.iter().map(|_| Vec::new()).collect();
    for round in 1..=flags.rounds {
        for (program, samples) in programs.iter().zip(&mut samples) {
            let sample = program.measure(flags).with_context(|| format!("{}, round {round}", program.name()))?;
            samples.push(sample);
        }
    }
    println!("whole programs at {RATE} Hz, all processes; medians, percentages of time are of one CPU");
    println!(
        "{:<12} {:>22} {:>12} {:>14} {:>14} {:>12} {:>12}",
        "program", "CPU s in the first 14 s", "CPU", "in the kernel", "resident", "peak", "work lost"
    );
    for (program, samples) in programs.iter().zip(&samples) {
        let of = |value: fn(&Sample) -> f64| median(samples.iter().map(value));
        println!(
            "{:<12} {:>22.2} {:>10.2} % {:>12.3} % {:>11.1} MB {:>9.1} MB {:>10.2} %",
            program.name(),
            of(|sample| sample.start),
            of(|sample| sample.cpu) * 100.0,
            of(|sample| sample.in_kernel) * 100.0,
            of(|sample| sample.memory.resident as f64) / 1e6,
            of(|sample| sample.memory.peak as f64) / 1e6,
            of(|sample| sample.lost) * 100.0
        );
    }
    Ok(())
}

impl Program {
    fn name(&self) -> &str {
        match self {
            Self::Flamegate => "flamegate",
            Self::Against(against) => against.name(),
        }
    }

    fn measure(&self, flags: &Flags) -> anyhow::Result<Sample> {
        let seconds = Duration::from_secs(flags.seconds);
        let cpus = std::thread::available_parallelism()?.get();
        let without = Busy::start(cpus)?.rounds_within(seconds)?;
        let folder = tempfile::tempdir().context("cannot make a folder for the program's files")?;
        let sink = Runtime::new()?.block_on(start_sink(folder.path())).context("the sink")?;
        let text = configuration::sampling(RATE, &folder.path().join("symbols"), sink.address);
        write(folder.path(), "config.alloy", &text)?;
        let command = match self {
            Self::Flamegate => {
                flamegate(&binary(flags.flamegate.as_deref())?, &text, ([127, 0, 0, 1], 0).into(), folder.path())?
            }
            Self::Against(against) => against.command(folder.path()),
        };
        let busy = Busy::start(cpus)?;
        let mut group = ProcessGroup::start(command, &folder.path().join("log"))?;
        sleep(START);
        group.check_running()?;
        let start = group.cpu_seconds()?;
        let in_kernel = seconds_in_kernel(&group)?;
        let with = busy.rounds_within(seconds)?;
        group.check_running()?;
        let a_second = |seconds_of: f64| seconds_of / seconds.as_secs_f64();
        Ok(Sample {
            start,
            cpu: a_second(group.cpu_seconds()? - start),
            in_kernel: a_second(seconds_in_kernel(&group)? - in_kernel),
            memory: group.memory()?,
            lost: 1.0 - with / without,
        })
    }
}

/// Of all kernel programs that a program holds.
fn seconds_in_kernel(group: &ProcessGroup) -> anyhow::Result<f64> {
    let mut by_program = HashMap::new();
    for pid in group.pids()? {
        // It may end meanwhile; what it held is then gone, too.
        let Ok(descriptors) = std::fs::read_dir(format!("/proc/{pid}/fdinfo")) else { continue };
        for text in descriptors.flatten().filter_map(|entry| std::fs::read_to_string(entry.path()).ok()) {
            let field = |name: &str| -> Option<u64> {
                let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
                value.trim().parse().ok()
            };
            if let (Some(id), Some(nanos)) = (field("prog_id"), field("run_time_ns")) {
                by_program.insert(id, nanos);
            }
        }
    }
    Ok(by_program.values().sum::<u64>() as f64 / 1e9)
}
