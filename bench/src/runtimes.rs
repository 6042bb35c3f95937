//! What the frames of each runtime cost: in the kernel and in user space a sample, and until they are named in a process
//! that begins.
//!
//! All figures are of one machine at one time: compare those of one run alone. The programs are those of the tests.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

mod programs;

use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, ensure};
use clap::{Args, value_parser};
use profiler_core::collection::{Kind, Known, ProfileBuilder, Style};
use profiler_core::kernel::{RunTimes, Stop};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};

use crate::cpu;
use programs::{Program, Running};

/// Flags of `runtimes`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Samples a second
    #[arg(long, default_value_t = 997, value_parser = value_parser!(u32).range(1..=10_000))]
    rate: u32,
    /// Seconds that each runtime is sampled
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(2..=600))]
    seconds: u64,
    /// Times that a process' first named stack is waited for; the median counts
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=100))]
    starts: u32,
    /// Only these, with commas between: c, python, hotspot, v8, ruby, perl, go
    #[arg(long, value_delimiter = ',')]
    only: Vec<Program>,
}

/// No runtime takes longer to begin.
const PATIENCE: Duration = Duration::from_secs(60);
/// A profile is made so often.
const COLLECT: Duration = Duration::from_secs(1);
/// The kernel's own figures are read once a second.
const COUNTED: Duration = Duration::from_millis(1200);

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let _measured = RunTimes::measure().context("this benchmark needs root")?;
    let folder = tempfile::tempdir().context("cannot make a folder for the programs")?;
    println!("at {} Hz; one process a runtime, two threads", flags.rate);
    println!("{:<10} {:>12} {:>10} {:>12} {:>14}", "program", "in kernel", "frames", "user space", "first names");
    for program in Program::ALL.into_iter().filter(|program| flags.only.is_empty() || flags.only.contains(program)) {
        let built = program.build(folder.path()).with_context(|| format!("building the program of {program}"))?;
        let start = || built.start().with_context(|| format!("starting the program of {program}"));
        let first = first_names(flags, &start).with_context(|| program.to_string())?;
        let sample = samples(flags, &start()?).with_context(|| program.to_string())?;
        println!(
            "{:<10} {:>9.2} us {:>10.1} {:>9.2} us {:>11.0} ms",
            program.to_string(),
            sample.in_kernel * 1e6,
            sample.frames,
            sample.in_user_space * 1e6,
            first * 1e3
        );
    }
    Ok(())
}

/// What one sample costs, in seconds, and how many frames it has.
struct Sample {
    in_kernel: f64,
    in_user_space: f64,
    frames: f64,
}

/// In the steady state: of a process whose files are known and whose functions are named. What user space does is all of
/// it, from the ring buffer to a profile each second.
fn samples(flags: &Flags, running: &Running) -> anyhow::Result<Sample> {
    let pid = running.pid();
    let sampler = sampler(flags, Scope::Pids(vec![pid]))?;
    wait_for_names(&sampler, running)?;
    sleep(COUNTED);
    let _before = sampler.collect();
    let (before, cpu) = (sampler.statistics(), cpu::seconds()?);
    let (began, mut taken, mut frames) = (Instant::now(), 0, 0);
    while began.elapsed() < Duration::from_secs(flags.seconds) {
        sleep(COLLECT);
        let traces = sampler.collect();
        let known = Known { sampler: &sampler, symbolizer: None };
        let mut builder = ProfileBuilder::new(Kind::Cpu { sample_rate: flags.rate }, Style::default(), &known);
        traces.iter().for_each(|trace| builder.add(trace));
        let _profile = builder.finish(SystemTime::now(), COLLECT);
        taken += traces.iter().map(|trace| trace.count).sum::<u64>();
        frames += traces.iter().map(|trace| trace.count * trace.user.len() as u64).sum::<u64>();
    }
    let in_user_space = cpu::seconds()? - cpu;
    sleep(COUNTED);
    let after = sampler.statistics();
    let counted = after.kernel.samples - before.kernel.samples;
    ensure!(taken > 0 && counted > 0, "nothing was sampled");
    Ok(Sample {
        in_kernel: (after.in_kernel - before.in_kernel).as_secs_f64() / counted as f64,
        in_user_space: in_user_space / taken as f64,
        frames: frames as f64 / taken as f64,
    })
}

/// Seconds from the start of a process to its first stack that is whole and named, while all are sampled. The median; the
/// first one, before the files are known, does not count.
fn first_names(flags: &Flags, start: &impl Fn() -> anyhow::Result<Running>) -> anyhow::Result<f64> {
    let sampler = sampler(flags, Scope::All)?;
    let mut took = Vec::new();
    for _ in 0..=flags.starts {
        let began = Instant::now();
        let running = start()?;
        wait_for_names(&sampler, &running)?;
        took.push(began.elapsed().as_secs_f64());
    }
    took.remove(0);
    took.sort_by(f64::total_cmp);
    took.get(took.len() / 2).copied().context("no start")
}

fn sampler(flags: &Flags, scope: Scope) -> anyhow::Result<Sampler> {
    Ok(Sampler::start(&Settings { sample_rate: flags.rate, ..Settings::new(scope) })?)
}

fn wait_for_names(sampler: &Sampler, running: &Running) -> anyhow::Result<()> {
    let began = Instant::now();
    let is_named =
        |trace: &Trace| trace.pid == running.pid() && trace.stop == Stop::Complete && running.names(sampler, trace);
    while !sampler.collect().iter().any(is_named) {
        ensure!(began.elapsed() < PATIENCE, "no stack with names within {PATIENCE:?}: {:?}", sampler.remarks());
        sleep(Duration::from_millis(2));
    }
    Ok(())
}
