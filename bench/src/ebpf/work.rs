//! Processes that are sampled.

use std::hint::black_box;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use rustix::process::{Signal, set_parent_process_death_signal};

/// Flags of `work`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// Works so long, then prints how often it was at the bottom of the stack
    #[arg(long, value_name = "MILLISECONDS")]
    busy: Option<u64>,
}

/// Calls from the first to the last function.
const DEPTH: u32 = 40;
/// Between two looks at the clock.
const ROUNDS: u64 = 100;

/// Works until it is killed, or for so long.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    // Or it would go on when the benchmark is interrupted.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    match flags.busy {
        Some(milliseconds) => println!("{}", work_for(Duration::from_millis(milliseconds))),
        None => loop {
            black_box(work_for(Duration::from_millis(1)));
            sleep(Duration::from_millis(999));
        },
    }
    Ok(())
}

fn work_for(time: Duration) -> u64 {
    let began = Instant::now();
    let mut rounds = 0;
    while began.elapsed() < time {
        for _ in 0..ROUNDS {
            black_box(descend(black_box(DEPTH)));
        }
        rounds += ROUNDS;
    }
    rounds
}

#[inline(never)]
fn descend(left: u32) -> u64 {
    if left == 0 {
        return (0..2000).fold(17, |sum: u64, step| black_box(sum.wrapping_mul(6_364_136_223_846_793_005) + step));
    }
    black_box(descend(left - 1)) + 1
}

/// Processes that keep as many CPUs busy.
pub(super) struct Busy {
    children: Vec<Child>,
}

/// Longer than any round.
const WHILE: &str = "700000";

impl Busy {
    pub(super) fn start(count: usize) -> anyhow::Result<Self> {
        Ok(Self { children: Self::spawn(count, WHILE)? })
    }

    pub(super) fn pids(&self) -> impl Iterator<Item = u32> {
        self.children.iter().map(Child::id)
    }

    /// How much as many other processes get done in this time, instead of these.
    pub(super) fn rounds_within(mut self, time: Duration) -> anyhow::Result<f64> {
        let count = self.children.len();
        end(&mut self.children);
        let mut sum = 0.0;
        for child in Self::spawn(count, &time.as_millis().to_string())? {
            let output = child.wait_with_output()?;
            ensure!(output.status.success(), "a worker ended with {}", output.status);
            sum += String::from_utf8(output.stdout)?.trim().parse::<f64>().context("a worker's rounds")?;
        }
        Ok(sum)
    }

    fn spawn(count: usize, milliseconds: &str) -> anyhow::Result<Vec<Child>> {
        (0..count).map(|_| spawn(&["--busy", milliseconds])).collect()
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        end(&mut self.children);
    }
}

/// Processes that run for a millisecond each second.
pub(super) struct Crowd {
    children: Vec<Child>,
}

impl Crowd {
    pub(super) fn start(count: u32) -> anyhow::Result<Self> {
        let mut crowd = Self { children: Vec::new() };
        for _ in 0..count {
            crowd.children.push(spawn(&[])?);
        }
        Ok(crowd)
    }

    pub(super) fn len(&self) -> usize {
        self.children.len()
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        end(&mut self.children);
    }
}

fn spawn(flags: &[&str]) -> anyhow::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    Ok(command.args(["ebpf", "work"]).args(flags).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?)
}

fn end(children: &mut [Child]) {
    for child in children.iter_mut() {
        // It may be over.
        let _ = child.kill();
    }
    for child in children {
        let _ = child.wait();
    }
}

/// Begins as many processes a second, or what the machine can, and waits for each; how many there were, and the time.
pub(super) fn short_lived(a_second: u32, time: Duration) -> anyhow::Result<(u32, Duration)> {
    let began = Instant::now();
    let mut begun = 0;
    while began.elapsed() < time {
        let mut child = Command::new("true").stdout(Stdio::piped()).spawn().context("running true")?;
        let mut nothing = Vec::new();
        if let Some(output) = &mut child.stdout {
            output.read_to_end(&mut nothing)?;
        }
        child.wait()?;
        begun += 1;
        let due = Duration::from_secs(1) * begun / a_second;
        sleep(due.saturating_sub(began.elapsed()));
    }
    Ok((begun, began.elapsed()))
}
