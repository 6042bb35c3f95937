//! The sampler in a process of its own, so that its CPU time and memory are no one else's.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use profiler_core::sampler::{Sampler, Scope, Settings};

use crate::cpu;
use crate::memory::resident;

/// Flags of `agent`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    #[arg(long)]
    rate: u32,
}

/// What sampling cost, in seconds and bytes.
pub(super) struct Cost {
    pub(super) seconds: f64,
    pub(super) cpu: f64,
    pub(super) in_kernel: f64,
    pub(super) resident: f64,
}

pub(super) struct Agent {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

const READY: &str = "samples";
/// An agent hands its stacks on so often.
const COLLECT: Duration = Duration::from_secs(5);

impl Agent {
    /// Samples all processes when this returns, and has done what a start takes.
    pub(super) fn start(rate: u32) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["ebpf", "agent", "--rate", &rate.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = child.stdin.take().context("a pipe")?;
        let mut output = BufReader::new(child.stdout.take().context("a pipe")?);
        let mut line = String::new();
        output.read_line(&mut line)?;
        ensure!(line.trim() == READY, "the agent does not sample: {line:?}");
        Ok(Self { child, input, output })
    }

    pub(super) fn end(mut self) -> anyhow::Result<Cost> {
        drop(self.input);
        let mut text = String::new();
        self.output.read_to_string(&mut text)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the agent ended with {status}");
        let numbers: Vec<f64> = text.split_ascii_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        let [seconds, cpu, in_kernel, resident] = numbers[..] else { anyhow::bail!("the agent says {text:?}") };
        Ok(Cost { seconds, cpu, in_kernel, resident })
    }
}

/// Tables are made in the first seconds: that is no part of the steady state.
const SETTLE: Duration = Duration::from_secs(3);

/// Samples until the input ends.
pub(super) fn run(flags: &Flags) -> anyhow::Result<()> {
    let sampler = Sampler::start(&Settings { sample_rate: flags.rate, ..Settings::new(Scope::All) })?;
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut nothing = Vec::new();
        // It is over, whether it ended well or not.
        let _ = std::io::stdin().read_to_end(&mut nothing);
        ended.send(())
    });
    std::thread::sleep(SETTLE);
    let began = Instant::now();
    let (used, in_kernel) = (cpu::seconds()?, sampler.statistics().in_kernel);
    let mut output = std::io::stdout();
    writeln!(output, "{READY}")?;
    let mut traces = 0;
    while end.recv_timeout(COLLECT).is_err() {
        traces += sampler.collect().len();
    }
    traces += sampler.collect().len();
    ensure!(traces > 0, "nothing was sampled");
    // The kernel's own figures are read once a second.
    std::thread::sleep(Duration::from_millis(1200));
    let in_kernel = sampler.statistics().in_kernel.saturating_sub(in_kernel).as_secs_f64();
    let seconds = began.elapsed().as_secs_f64();
    writeln!(output, "{seconds} {} {in_kernel} {}", cpu::seconds()? - used, resident()?)?;
    Ok(())
}
