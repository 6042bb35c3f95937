//! The load benchmark: the same requests through each program in turn, in rounds, one program at a time.

pub(crate) mod certificate;
pub(crate) mod configuration;
pub(crate) mod connection;
mod generator;
mod goal;
mod idle;
pub(crate) mod neighbours;
mod payload;
pub(crate) mod pprof;
pub(crate) mod process_group;
pub(crate) mod program;
mod queue;
mod report;
mod setup;
pub(crate) mod ui;
mod variant;

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::value_parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use self::generator::Fleet;
use self::payload::{Mode, Payload};
use self::program::{Against, Program, binary};
use self::report::{Report, Sample};
use self::setup::Setup;
use self::variant::Variant;

/// Caches fill and allocators grow before anything is counted.
const WARM_UP: Duration = Duration::from_secs(1);
/// What a program still does once it is ready, and what its allocator gives back by and by, is no part of its idle
/// memory.
const SETTLE: Duration = Duration::from_secs(3);

/// Flags of `flamegate-bench load`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Length of each measurement
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How often each program is measured under each load
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Numbers of connections that send at the same time
    #[arg(long, value_delimiter = ',', default_value = "1,8,64", value_parser = value_parser!(u16).range(1..=10_000))]
    connections: Vec<u16>,
    /// Forms in which profiles are sent
    #[arg(long, value_delimiter = ',', default_value = "push,ingest")]
    modes: Vec<Mode>,
    /// Measures these programs alone: bare, flamegate, nginx, as flamegate-tls those of --with, or the name of an --against
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<String>,
    /// Another program: a shell runs COMMAND with LISTEN_PORT, SINK_URL and CONFIG_DIR (there is config.alloy) set
    #[arg(long, value_name = "NAME=COMMAND")]
    against: Vec<Against>,
    /// Measures the sink with nothing before it too: the most that the load can reach
    #[arg(long)]
    direct: bool,
    /// Measures, in place of all others, Flamegate with so many filters in a row; the first number is the yardstick
    #[arg(long, value_delimiter = ',', value_name = "NUMBER", value_parser = value_parser!(u8).range(0..=100))]
    filters: Vec<u8>,
    /// Measures Flamegate set up otherwise too, and nginx so where it can
    #[arg(long, value_delimiter = ',', value_name = "NAME", value_parser = variant::names())]
    with: Vec<&'static Variant>,
    /// Opens so many connections to each program as well, and tells what an idle one takes
    #[arg(long, default_value_t = 0, value_name = "NUMBER", value_parser = value_parser!(u32).range(0..=100_000))]
    idle: u32,
    /// Measures, in place of all others, Flamegate without and with a durable queue, and the disk itself beside them
    #[arg(long, conflicts_with_all = ["only", "against", "direct", "filters"])]
    queue: bool,
    /// Flamegate's binary [default: beside this program]
    #[arg(long, value_name = "FILE")]
    flamegate: Option<PathBuf>,
}

/// Measures and prints. Fails if a program did not run or an answer was wrong, whatever the figures.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // One thread: the load is to leave the machine to the programs.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut terminated = signal(SignalKind::terminate())?;
        // Dropping the measurement ends the programs that it has started.
        tokio::select! {
            measured = queue::measure(arguments), if arguments.queue => measured?,
            report = measure(arguments), if !arguments.queue => print!("{}", report?.render()),
            interrupted = tokio::signal::ctrl_c() => { interrupted?; bail!("interrupted") }
            _ = terminated.recv() => bail!("terminated"),
        }
        Ok(())
    })
}

async fn measure(arguments: &Arguments) -> anyhow::Result<Report> {
    let programs = programs(arguments)?;
    let names = programs.iter().map(|program| program.name().to_owned()).collect();
    let loads: Vec<(Mode, usize)> = arguments
        .modes
        .iter()
        .flat_map(|mode| arguments.connections.iter().map(|connections| (*mode, usize::from(*connections))))
        .collect();
    let duration = Duration::from_secs(arguments.seconds);
    let yardstick = match programs.iter().find(|program| matches!(program, Program::Filters { .. })) {
        Some(fewest) => fewest.name(),
        None => program::BARE,
    };
    let goals = goal::GOALS.into_iter().chain(arguments.with.iter().flat_map(|variant| variant.goals).copied());
    let mut report = Report::new(names, yardstick, loads.clone(), goals.collect());
    for round in 1..=arguments.rounds {
        for (load, (mode, connections)) in loads.iter().enumerate() {
            for (position, program) in programs.iter().enumerate() {
                let sample = measure_one(program, *mode, *connections, duration)
                    .await
                    .with_context(|| format!("{}, {mode}, {connections} connections, round {round}", program.name()))?;
                eprintln!(
                    "round {round}/{}  {mode:<7}{connections:>4}  {:<24}{:>9.0} requests/s",
                    arguments.rounds,
                    program.name(),
                    sample.requests_per_second
                );
                report.add(load, position, sample);
            }
        }
    }
    if let Some(count) = NonZeroU32::new(arguments.idle) {
        idle::allow_files(count)?;
        for program in programs.iter().filter(|program| !matches!(program, Program::Direct)) {
            let name = program.name();
            let idle = idle::measure(program, count).await;
            report.add_idle(name, idle.with_context(|| format!("{name}, {count} idle connections"))?);
        }
    }
    Ok(report)
}

fn programs(arguments: &Arguments) -> anyhow::Result<Vec<Program>> {
    let binary = binary(arguments.flamegate.as_deref())?;
    let mut programs = if arguments.filters.is_empty() {
        let mut programs = vec![Program::Bare, Program::Flamegate { binary: binary.clone() }, Program::Nginx];
        for &variant in &arguments.with {
            programs.push(Program::Variant { binary: binary.clone(), variant });
            programs.extend(variant.nginx.as_ref().map(|nginx| Program::NginxVariant { nginx, variant }));
        }
        programs
    } else {
        let rows = arguments.filters.iter().map(|count| usize::from(*count));
        rows.map(|count| Program::Filters { binary: binary.clone(), count, name: format!("{count}-filters") }).collect()
    };
    programs.extend(arguments.against.iter().cloned().map(Program::Against));

    let names: Vec<String> = programs.iter().map(|program| program.name().to_owned()).collect();
    if let Some(repeated) = names.iter().enumerate().find_map(|(i, name)| names.iter().skip(i + 1).find(|n| *n == name))
    {
        bail!("`{repeated}` is named twice");
    }
    if let Some(unknown) = arguments.only.iter().find(|name| !names.contains(name)) {
        bail!("--only {unknown}: there is {} and no other program", names.join(", "));
    }
    programs.retain(|program| arguments.only.is_empty() || arguments.only.iter().any(|name| name == program.name()));
    if arguments.direct {
        programs.insert(0, Program::Direct);
    }
    if let Some(binary) = programs.iter().find_map(|program| match program {
        Program::Flamegate { binary } | Program::Filters { binary, .. } | Program::Variant { binary, .. }
            if !binary.is_file() =>
        {
            Some(binary)
        }
        _ => None,
    }) {
        bail!(
            "there is no {}: build it (`cargo build --release -p flamegate`) or name it with --flamegate",
            binary.display()
        );
    }
    Ok(programs)
}

/// Every measurement has a program and sinks of its own: peaks and caches do not pass from one to the next.
async fn measure_one(program: &Program, mode: Mode, connections: usize, duration: Duration) -> anyhow::Result<Sample> {
    let setup = Setup::start(program, connections).await?;
    sleep(SETTLE).await;
    let idle = setup.group()?.memory()?.resident;

    let payload = Payload::new(mode, setup.door.address)?;
    let profile_len = payload.profile_len as u64;
    let mut fleet = Fleet::open(setup.door.clone(), connections, payload).await?;
    let warm = setup.drive(&mut fleet, WARM_UP).await?;
    let cpu = setup.group()?.cpu_seconds()?;
    let driven = setup.drive(&mut fleet, duration).await?;
    let cpu = setup.group()?.cpu_seconds()? - cpu;
    let peak = setup.group()?.memory()?.peak;
    setup.check_taken(warm.requests + driven.requests, profile_len).await?;

    let requests = driven.requests as f64;
    Ok(Sample {
        requests_per_second: requests / driven.elapsed.as_secs_f64(),
        p50_ms: driven.latency.value_at_quantile(0.5) as f64 / 1e3,
        p99_ms: driven.latency.value_at_quantile(0.99) as f64 / 1e3,
        cpu_per_1000: cpu / requests * 1e3,
        peak_mb: peak as f64 / 1e6,
        idle_mb: idle as f64 / 1e6,
    })
}
