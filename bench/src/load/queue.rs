//! What a durable queue costs: the load of `load` without and with one, in turns, and the disk that it lies on beside them.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::fs::File;
use std::net::SocketAddr;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use hdrhistogram::Histogram;
use tokio::time::sleep;

use super::generator::{Fleet, histogram};
use super::payload::{Mode, Payload};
use super::program::{Program, binary};
use super::setup::Setup;
use super::{Arguments, SETTLE, WARM_UP};

/// Syncs of the disk that are timed in a round, each after as many bytes as a request has.
const SYNCS: usize = 300;
/// The queue has to be empty after that.
const DRAIN_LIMIT: Duration = Duration::from_secs(300);
const DRAIN_POLL: Duration = Duration::from_millis(20);
/// The rate with a queue, what it takes to empty it included, over that without.
const GOAL_RATE: f64 = 0.7;
/// Latency: so many ms, or so many times what a sync of the disk takes.
const GOAL_MS: f64 = 5.0;
const GOAL_SYNCS: f64 = 10.0;

/// What was seen in one turn.
struct Turn {
    requests_per_second: f64,
    /// Until everything that was answered had reached the sink.
    sustained_per_second: f64,
    p99_ms: f64,
}

/// Measures and prints.
pub(super) async fn measure(arguments: &Arguments) -> anyhow::Result<()> {
    let binary = binary(arguments.flamegate.as_deref())?;
    ensure!(binary.is_file(), "there is no {}: build it, or name it with --flamegate", binary.display());
    let (plain, queue) = (Program::Flamegate { binary: binary.clone() }, Program::Queue { binary });
    println!(
        "{:<8}{:>6}{:>7}{:>14}{:>14}{:>14}{:>8}{:>10}{:>10}{:>14}",
        "mode",
        "conns",
        "round",
        "plain req/s",
        "queue req/s",
        "sustained",
        "ratio",
        "plain p99",
        "queue p99",
        "fdatasync p99"
    );
    for mode in &arguments.modes {
        for connections in &arguments.connections {
            for round in 1..=arguments.rounds {
                let connections = usize::from(*connections);
                let turn = async |program| {
                    let turn = measure_one(program, *mode, connections, Duration::from_secs(arguments.seconds)).await;
                    turn.with_context(|| {
                        format!("{}, {mode}, {connections} connections, round {round}", program.name())
                    })
                };
                let (without, with) = (turn(&plain).await?, turn(&queue).await?);
                let sync = disk_ms(*mode)?;
                println!(
                    "{:<8}{connections:>6}{round:>7}{:>14.0}{:>14.0}{:>14.0}{:>8.2}{:>10.2}{:>10.2}{sync:>14.2}",
                    mode.to_string(),
                    without.requests_per_second,
                    with.requests_per_second,
                    with.sustained_per_second,
                    with.sustained_per_second / without.requests_per_second,
                    without.p99_ms,
                    with.p99_ms,
                );
            }
        }
    }
    println!(
        "sustained: until all had reached the sink. ms, p99; fdatasync: of the same disk, with nothing else to do"
    );
    println!("goals: ratio at least {GOAL_RATE}, queue p99 at most {GOAL_MS} ms or {GOAL_SYNCS} fdatasync p99");
    Ok(())
}

async fn measure_one(program: &Program, mode: Mode, connections: usize, duration: Duration) -> anyhow::Result<Turn> {
    let setup = Setup::start(program, connections).await?;
    sleep(SETTLE).await;
    let payload = Payload::new(mode, setup.door.address)?;
    let profile_len = payload.profile_len as u64;
    let mut fleet = Fleet::open(setup.door.clone(), connections, payload).await?;
    let warm = setup.drive(&mut fleet, WARM_UP).await?;
    drained(&setup, warm.requests * profile_len).await?;
    let began = Instant::now();
    let driven = setup.drive(&mut fleet, duration).await?;
    drained(&setup, (warm.requests + driven.requests) * profile_len).await?;
    let requests = driven.requests as f64;
    Ok(Turn {
        requests_per_second: requests / driven.elapsed.as_secs_f64(),
        sustained_per_second: requests / began.elapsed().as_secs_f64(),
        p99_ms: driven.latency.value_at_quantile(0.99) as f64 / 1e3,
    })
}

/// Waits until so many bytes have reached the sink.
async fn drained(setup: &Setup, expected: u64) -> anyhow::Result<()> {
    let deadline = Instant::now() + DRAIN_LIMIT;
    loop {
        let (_, bytes) = setup.taken().await?;
        if bytes >= expected {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "only {bytes} of {expected} bytes that were answered reached the sink");
        sleep(DRAIN_POLL).await;
    }
}

/// The p99 of a sync, after each write of a request's length at the end of a file.
fn disk_ms(mode: Mode) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let length = Payload::new(mode, SocketAddr::from(([127, 0, 0, 1], 1)))?.profile_len;
    let mut syncs: Histogram<u64> = histogram()?;
    time_syncs(folder.path(), &vec![7; length], &mut syncs)?;
    Ok(syncs.value_at_quantile(0.99) as f64 / 1e3)
}

fn time_syncs(folder: &Path, block: &[u8], syncs: &mut Histogram<u64>) -> anyhow::Result<()> {
    let file = File::create(folder.join("disk"))?;
    let mut offset = 0;
    for _ in 0..SYNCS {
        file.write_all_at(block, offset)?;
        offset += block.len() as u64;
        let began = Instant::now();
        file.sync_data()?;
        syncs.saturating_record(u64::try_from(began.elapsed().as_micros())?.max(1));
    }
    Ok(())
}
