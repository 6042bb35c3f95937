//! The load benchmark: the same requests through each program in turn, in rounds, one program at a time.

mod backends;
pub(crate) mod configuration;
mod connection;
mod generator;
pub(crate) mod neighbours;
mod payload;
pub(crate) mod pprof;
pub(crate) mod process_group;
pub(crate) mod program;
mod report;

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use clap::value_parser;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use self::connection::Connection;
use self::generator::Fleet;
use self::payload::{Mode, Payload};
use self::program::{Against, Program, Running, binary};
use self::report::{Report, Sample};
use crate::sink::COUNT_PATH;

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
    /// Measures these programs alone: bare, flamegate, nginx or the name of an --against
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
    /// Measures, in place of all others, Flamegate with one address and with so many backends
    #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u8).range(1..=100), conflicts_with = "filters")]
    backends: Option<u8>,
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
            report = measure(arguments) => print!("{}", report?.render()),
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
        None if arguments.backends.is_some() => program::FLAMEGATE,
        None => program::BARE,
    };
    let mut report = Report::new(names, yardstick, loads.clone());
    for round in 1..=arguments.rounds {
        for (load, (mode, connections)) in loads.iter().enumerate() {
            for (position, program) in programs.iter().enumerate() {
                let sample = measure_one(program, *mode, *connections, duration)
                    .await
                    .with_context(|| format!("{}, {mode}, {connections} connections, round {round}", program.name()))?;
                eprintln!(
                    "round {round}/{}  {mode:<7}{connections:>4}  {:<12}{:>9.0} requests/s",
                    arguments.rounds,
                    program.name(),
                    sample.requests_per_second
                );
                report.add(load, position, sample);
            }
        }
    }
    Ok(report)
}

fn programs(arguments: &Arguments) -> anyhow::Result<Vec<Program>> {
    let binary = binary(arguments.flamegate.as_deref())?;
    let mut programs = if let Some(count) = arguments.backends {
        backends::programs(binary, count)
    } else if arguments.filters.is_empty() {
        vec![Program::Bare, Program::Flamegate { binary }, Program::Nginx]
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
        Program::Flamegate { binary } | Program::Filters { binary, .. } | Program::Backends { binary, .. }
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

/// Every measurement has a program and a sink of its own: peaks and caches do not pass from one to the next.
async fn measure_one(program: &Program, mode: Mode, connections: usize, duration: Duration) -> anyhow::Result<Sample> {
    let folder = tempfile::tempdir().context("cannot make a folder for the program's files")?;
    let mut sink = program::start_sink_on(program.sink_addresses(), folder.path()).await.context("the sink")?;
    let mut started = program.start(sink.address, connections, folder.path()).await?;
    let sink_address = sink.address;
    let subject = started.as_mut().unwrap_or(&mut sink);
    sleep(SETTLE).await;
    let idle = subject.group.memory()?.resident;

    let payload = Payload::new(mode, subject.address)?;
    let profile_len = payload.profile_len as u64;
    let mut fleet = Fleet::open(subject.address, connections, payload).await?;
    let warm = drive(&mut fleet, subject, WARM_UP).await?;
    let cpu = subject.group.cpu_seconds()?;
    let driven = drive(&mut fleet, subject, duration).await?;
    let cpu = subject.group.cpu_seconds()? - cpu;
    let peak = subject.group.memory()?.peak;
    check_taken(sink_address, warm.requests + driven.requests, profile_len).await?;

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

async fn drive(fleet: &mut Fleet, subject: &mut Running, duration: Duration) -> anyhow::Result<generator::Driven> {
    let driven = fleet.drive(duration).await;
    driven.with_context(|| format!("the load was not answered as it should be; {}", subject.group.log_end()))
}

/// A program that answers without having handed on what it took is not faster, it is wrong.
async fn check_taken(sink: std::net::SocketAddr, answered: u64, profile_len: u64) -> anyhow::Result<()> {
    let answer = Connection::open(sink).await?.fetch(COUNT_PATH).await?;
    let text = String::from_utf8(answer.body)?;
    let (requests, bytes) = text.split_once(' ').context("the sink's count is not two numbers")?;
    let (requests, bytes): (u64, u64) = (requests.parse()?, bytes.parse()?);
    ensure!(requests >= answered, "{answered} requests were answered with 200 but only {requests} reached the sink");
    ensure!(
        bytes >= answered * profile_len,
        "{answered} profiles of {profile_len} bytes were answered with 200 but only {bytes} bytes reached the sink"
    );
    Ok(())
}
