//! What a filter that misbehaves does to the latency of another pipeline of the same process.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::ensure;
use clap::value_parser;
use hdrhistogram::Histogram;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::connection::Connection;
use super::generator::{Fleet, histogram};
use super::payload::{Mode, Payload};
use super::program;
use super::program::binary;
use super::{SETTLE, WARM_UP};

/// Flags of `flamegate-bench neighbours`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Seconds beside each neighbour, in turns
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Rounds, each with a process of its own
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Connections that send to the pipeline whose latency is measured
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Requests a second to the pipeline beside it
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u16).range(1..=10_000))]
    rate: u16,
    /// Flamegate's binary [default: beside this program]
    #[arg(long, value_name = "FILE")]
    flamegate: Option<PathBuf>,
}

/// What stands beside the measured pipeline, by the attributes of its filter. With a cache the same verdicts would come
/// without a call.
const NEIGHBOURS: [(&str, &str); 3] = [
    ("does nothing", "config = \"unchanged\"\n  cache_size = 0"),
    ("never ends", "config = \"loop\""),
    // Shorter than its timeout, and allowed to take all of the processors: it never rests.
    ("takes all it may", "config = \"spin=30000000\"\n  cache_size = 0\n  cpu_share = 1\n  timeout = \"1s\""),
];
/// One neighbour's turn.
const TURN: Duration = Duration::from_secs(1);
/// The latency of the others rises by less than this.
const GOAL: f64 = 1.1;

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        println!(
            "ms, latency of a pipeline beside another one with {} requests/s, by what the filter of that one does",
            arguments.rate
        );
        println!(
            "{:<24}{:>10}{:>10}{:>10}{:>16}{:>12}{:>12}",
            "round", "requests", "p50", "p99", "its own p50", "p50 ratio", "p99 ratio"
        );
        for round in 1..=arguments.rounds {
            measure_round(arguments, round).await?;
        }
        println!("goal: p50 and p99 less than {GOAL} times those beside a filter that does nothing");
        Ok(())
    })
}

async fn measure_round(arguments: &Arguments, round: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sink = program::start_sink(folder.path()).await?;
    let [harmless, endless, greedy] = NEIGHBOURS.map(|(_, attributes)| Some(attributes));
    let binary = binary(arguments.flamegate.as_deref())?;
    let pipelines = [None, harmless, endless, greedy];
    let (_running, [measured, neighbours @ ..]) =
        program::start_side_by_side(&binary, pipelines, sink.address, folder.path()).await?;
    sleep(SETTLE).await;

    let mut fleet =
        Fleet::open(measured, usize::from(arguments.connections), Payload::new(Mode::Push, measured)?).await?;
    fleet.drive(WARM_UP).await?;
    let pace = Duration::from_secs(1) / u32::from(arguments.rate);
    let mut seen = Vec::new();
    for neighbour in neighbours {
        seen.push(Seen { neighbour, measured: histogram()?, beside: histogram()? });
    }
    // In turns, so that a machine whose speed drifts is as fast for all.
    for _ in 0..arguments.seconds {
        for seen in &mut seen {
            let beside = tokio::spawn(send(seen.neighbour, pace, TURN));
            seen.measured.add(fleet.drive(TURN).await?.latency)?;
            seen.beside.add(beside.await??)?;
        }
    }
    let mut yardstick = None;
    for ((name, _), Seen { measured, beside, .. }) in NEIGHBOURS.into_iter().zip(&seen) {
        let at = |quantile| measured.value_at_quantile(quantile) as f64 / 1e3;
        let (p50, p99) = (at(0.5), at(0.99));
        let (p50_before, p99_before) = *yardstick.get_or_insert((p50, p99));
        println!(
            "{:<24}{:>10}{p50:>10.3}{p99:>10.3}{:>16.3}{:>12.2}{:>12.2}",
            format!("{round}: {name}"),
            measured.len(),
            beside.value_at_quantile(0.5) as f64 / 1e3,
            p50 / p50_before,
            p99 / p99_before
        );
    }
    Ok(())
}

/// One of [`NEIGHBOURS`] in a round.
struct Seen {
    neighbour: SocketAddr,
    /// Latencies of the other pipeline meanwhile, in microseconds.
    measured: Histogram<u64>,
    /// Its own.
    beside: Histogram<u64>,
}

/// Sends at a pace, or as slowly as answers come, and gathers how long they take, in microseconds.
async fn send(address: SocketAddr, pace: Duration, duration: Duration) -> anyhow::Result<Histogram<u64>> {
    let payload = Payload::new(Mode::Push, address)?;
    let mut connection = Connection::open(address).await?;
    let mut latency = histogram()?;
    let mut turns = interval(pace);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = tokio::time::Instant::now() + duration;
    for request in payload.requests(0).iter().cycle() {
        let sent = turns.tick().await;
        if sent >= end {
            break;
        }
        let answer = connection.exchange(request).await?;
        ensure!(answer.status == 200, "the pipeline beside answers with status {}", answer.status);
        latency.saturating_record(u64::try_from(sent.elapsed().as_micros())?.max(1));
    }
    Ok(latency)
}
