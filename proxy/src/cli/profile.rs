//! `flamegate profile`: samples some processes for some seconds, for a person at a terminal.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use clap::Args;
use profiler_core::collection::{Kind, Known, ProfileBuilder, Style};
use profiler_core::pprof::{Profile, gzip};
use profiler_core::sampler::{Origin, Sampler, Scope, Settings, Statistics, Trace};
use profiler_core::symbolizer::Symbolizer;
use prost::Message;
use tokio::runtime::Runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use self::report::Report;
use self::symbols::{Demangled, Symbols};
use super::fail;
use super::output::{complain, create, print, write};

mod report;
mod symbols;

/// Flags of `profile`.
#[derive(Debug, Args)]
pub struct ProfileFlags {
    /// A process to be sampled; may be given several times
    #[arg(long, required_unless_present = "all", conflicts_with = "all")]
    pid: Vec<u32>,
    /// Samples all processes
    #[arg(long)]
    all: bool,
    /// How long; Ctrl-C ends it earlier
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Samples a second on each CPU that is busy
    #[arg(long, default_value_t = 97)]
    rate: u32,
    /// Shows time off the CPU instead of time on it
    #[arg(long)]
    off_cpu: bool,
    /// Leaves the frames of the kernel out
    #[arg(long)]
    no_kernel: bool,
    /// Shows inlined functions and lines, where there is debug information
    #[arg(long)]
    lines: bool,
    /// How much is shown of the names of C++ and Rust
    #[arg(long, value_enum, default_value_t = Demangled::Simplified)]
    demangle: Demangled,
    /// Keeps the names of functions there, for the next time; else in the user's cache
    #[arg(long, value_name = "FOLDER")]
    symbols: Option<PathBuf>,
    /// Writes the profile there, as gzipped pprof
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Writes a flame graph there
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Functions in the table.
const MOST_FUNCTIONS: usize = 20;
/// Between two looks at whether the processes are still there.
const LOOK: Duration = Duration::from_millis(100);
/// Every time that a thread leaves its CPU is taken.
const ALL_SWITCHES: f64 = 1.0;

/// Samples, and shows what was found.
pub(super) fn run(flags: &ProfileFlags) -> ExitCode {
    match profile(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&format!("{message}\n")),
    }
}

fn profile(flags: &ProfileFlags) -> Result<(), String> {
    // Before anything else: whoever is told to wait is told at once where it would be for nothing.
    let output = flags.output.as_deref().map(create).transpose()?;
    let svg = flags.svg.as_deref().map(create).transpose()?;
    let signals = Signals::watch().map_err(|error| format!("signals cannot be watched: {error}"))?;
    let symbols = Symbols::open(flags.symbols.clone(), flags.demangle, flags.lines)?;
    let sampler = Sampler::start(&flags.settings(symbols.symbolizer.clone())).map_err(|error| error.to_string())?;
    for shortfall in sampler.shortfalls() {
        complain(&format!("{shortfall}\n"));
    }
    let began = Instant::now();
    signals.wait(flags);
    let lasted = began.elapsed();
    sampler.stop();
    symbols.wait();
    let (profile, samples) = flags.build(&Known { sampler: &sampler, symbolizer: Some(&symbols.symbolizer) }, lasted);
    let report = Report::of(&profile);
    complain(&summary(samples, lasted, &sampler.statistics()));
    for remark in sampler.remarks() {
        complain(&format!("{remark}\n"));
    }
    if let Some((path, file)) = output {
        write(path, file, |mut file| {
            let bytes = gzip(&profile.encode_to_vec())?;
            std::io::Write::write_all(&mut file, &bytes)
        })?;
    }
    if let Some((path, file)) = svg {
        if report.is_empty() {
            return Err(format!("{}: there is nothing to draw: no samples", path.display()));
        }
        write(path, file, |file| report.draw(&flags.title(), flags.unit(), file))?;
    }
    if flags.output.is_none() && flags.svg.is_none() {
        print(&report.table(MOST_FUNCTIONS));
    }
    Ok(())
}

impl ProfileFlags {
    fn settings(&self, symbolizer: Arc<Symbolizer>) -> Settings {
        let scope = if self.all { Scope::All } else { Scope::Pids(self.pid.clone()) };
        Settings {
            sample_rate: self.rate,
            kernel_frames: !self.no_kernel,
            off_cpu_threshold: if self.off_cpu { ALL_SWITCHES } else { 0.0 },
            symbolizer: Some(symbolizer),
            ..Settings::new(scope)
        }
    }

    fn origin(&self) -> Origin {
        if self.off_cpu { Origin::OffCpu } else { Origin::Cpu }
    }

    /// All processes in one profile. Where there are several, the outermost frames tell them apart.
    fn build(&self, names: &Known<'_>, lasted: Duration) -> (Profile, u64) {
        let several = self.all || self.pid.len() > 1;
        let style =
            Style { comm_frame: several, pid_label: several, kernel_frames: !self.no_kernel, ..Style::default() };
        let mut builder = ProfileBuilder::new(Kind::of(self.origin(), self.rate), style, names);
        let traces: Vec<Trace> = names.sampler.collect();
        let mut samples = 0;
        for trace in traces.iter().filter(|trace| trace.origin == self.origin()) {
            builder.add(trace);
            samples += trace.count;
        }
        (builder.finish(SystemTime::now(), lasted), samples)
    }

    fn unit(&self) -> &'static str {
        if self.off_cpu { "ms off the CPU" } else { "ms on the CPU" }
    }

    fn title(&self) -> String {
        let pids: Vec<String> = self.pid.iter().map(ToString::to_string).collect();
        let whose = if self.all { "all processes".to_owned() } else { format!("process {}", pids.join(", ")) };
        let what = if self.off_cpu { "Off-CPU time".to_owned() } else { format!("CPU time at {} Hz", self.rate) };
        format!("{what}, {whose}")
    }
}

/// Who may end it before its time.
struct Signals {
    runtime: Runtime,
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn watch() -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let (interrupt, terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        drop(entered);
        Ok(Self { runtime, interrupt, terminate })
    }

    /// Until the time is over, all processes are, or the user says so.
    fn wait(mut self, flags: &ProfileFlags) {
        let gone = async {
            while flags.all || flags.pid.iter().any(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
                sleep(LOOK).await;
            }
        };
        self.runtime.block_on(async {
            tokio::select! {
                () = sleep(Duration::from_secs(flags.seconds)) => {}
                () = gone => {}
                _ = self.interrupt.recv() => {}
                _ = self.terminate.recv() => {}
            }
        });
    }
}

fn summary(samples: u64, lasted: Duration, statistics: &Statistics) -> String {
    let lost = statistics.kernel.lost + statistics.dropped;
    let lost = if lost > 0 { format!(", {lost} were lost") } else { String::new() };
    format!("{samples} samples in {:.1} s{lost}\n", lasted.as_secs_f64())
}
