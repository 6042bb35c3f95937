//! What sampling costs: the work that is sampled, the sampler's own CPU time and memory, and the time in the kernel.
//!
//! All figures are of one machine at one time: compare those of one run alone.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

mod agent;
mod programs;
mod work;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::{Args, Subcommand, value_parser};
use profiler_core::kernel::{RunTimes, Stop};
use profiler_core::sampler::{Sampler, Scope, Settings};

use agent::{Agent, Cost};
use work::{Busy, Crowd};

use crate::load::program::Against;

/// Flags of `ebpf`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Rounds with and without each rate, which take turns; the median counts
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds of each round
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Processes that run a little now and then
    #[arg(long, default_value_t = 500, value_parser = value_parser!(u32).range(1..=10_000))]
    processes: u32,
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
    /// Samples the machine until its input ends, then says what that cost
    #[command(hide = true)]
    Agent(agent::Flags),
    /// Works deep down a stack
    #[command(hide = true)]
    Work(work::Flags),
}

const RATES: [u32; 3] = [19, 97, 997];
/// New processes whose first whole stack is waited for.
const NEW_PROCESSES: usize = 11;
/// Processes that are begun and over within a second.
const SHORT_LIVED_A_SECOND: u32 = 1000;

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    match &flags.part {
        Some(Part::Agent(flags)) => agent::run(flags),
        Some(Part::Work(flags)) => work::run(flags),
        None => {
            let _measured = RunTimes::measure().context("this benchmark needs root")?;
            programs::run(flags)?;
            overhead(flags)?;
            crowd(flags)?;
            first_stacks()?;
            short_lived(flags)
        }
    }
}

fn overhead(flags: &Flags) -> anyhow::Result<()> {
    let seconds = Duration::from_secs(flags.seconds);
    let cpus = std::thread::available_parallelism()?.get();
    println!("{cpus} busy CPUs, stacks of 40 calls; percentages of time are of one CPU");
    println!("{:>6} {:>14} {:>16} {:>16} {:>14}", "Hz", "work lost", "agent's CPU", "in the kernel", "resident");
    for rate in RATES {
        let mut lost = Vec::new();
        let mut costs = Vec::new();
        for _ in 0..flags.rounds {
            let without = Busy::start(cpus)?.rounds_within(seconds)?;
            let busy = Busy::start(cpus)?;
            let agent = Agent::start(rate)?;
            let with = busy.rounds_within(seconds)?;
            costs.push(agent.end()?);
            lost.push(1.0 - with / without);
        }
        let share = |of: fn(&Cost) -> f64| median(costs.iter().map(|cost| of(cost) / cost.seconds)) * 100.0;
        println!(
            "{rate:>6} {:>12.2} % {:>14.3} % {:>14.3} % {:>11.1} MB",
            median(lost) * 100.0,
            share(|cost| cost.cpu),
            share(|cost| cost.in_kernel),
            median(costs.iter().map(|cost| cost.resident / 1e6))
        );
    }
    Ok(())
}

fn crowd(flags: &Flags) -> anyhow::Result<()> {
    let crowd = Crowd::start(flags.processes)?;
    let agent = Agent::start(97)?;
    std::thread::sleep(Duration::from_secs(flags.seconds * 2));
    let cost = agent.end()?;
    println!(
        "{} processes that run for a millisecond each second: {:.1} MB resident, {:.2} % of a CPU, {:.3} % in the kernel",
        crowd.len(),
        cost.resident / 1e6,
        cost.cpu / cost.seconds * 100.0,
        cost.in_kernel / cost.seconds * 100.0
    );
    Ok(())
}

/// Of processes that begin while all are sampled.
fn first_stacks() -> anyhow::Result<()> {
    let sampler = Sampler::start(&Settings { sample_rate: 97, ..Settings::new(Scope::All) })?;
    let mut took = Vec::new();
    for _ in 0..NEW_PROCESSES {
        let began = Instant::now();
        let busy = Busy::start(1)?;
        let pid = busy.pids().next().context("a process")?;
        let whole = || sampler.collect().iter().any(|trace| trace.pid == pid && trace.stop == Stop::Complete);
        while !whole() {
            ensure!(began.elapsed() < Duration::from_secs(60), "no whole stack of a new process within a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
        took.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let first = took.remove(0);
    println!("first whole stack of a new process: {first:.0} ms, {:.0} ms when its files are known", median(took));
    Ok(())
}

fn short_lived(flags: &Flags) -> anyhow::Result<()> {
    let agent = Agent::start(97)?;
    let (begun, took) = work::short_lived(SHORT_LIVED_A_SECOND, Duration::from_secs(flags.seconds))?;
    let cost = agent.end()?;
    println!(
        "{:.0} processes a second that end at once: {:.1} us of the agent's CPU and {:.1} us in the kernel each",
        f64::from(begun) / took.as_secs_f64(),
        cost.cpu * 1e6 / f64::from(begun),
        cost.in_kernel * 1e6 / f64::from(begun)
    );
    Ok(())
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
