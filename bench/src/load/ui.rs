//! What those who look at the web UI cost the pipeline: its CPU a request with the UI open on five clients, and on none.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::value_parser;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::connection::Connection;
use super::generator::Fleet;
use super::payload::{Mode, Payload};
use super::program::{self, Running, binary};
use super::report::Spread;
use super::{SETTLE, WARM_UP};

/// Flags of `flamegate-bench ui`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Turns of each side in a round
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=3600))]
    turns: u32,
    /// Rounds, each with processes of its own
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Connections that send at the same time
    #[arg(long, default_value_t = 8, value_parser = value_parser!(u16).range(1..=10_000))]
    connections: u16,
    /// Seconds after which the client that looks at a flame graph asks for a new one
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u64).range(1..=3600))]
    graph_every: u64,
    /// Flamegate's binary [default: beside this program]
    #[arg(long, value_name = "FILE")]
    flamegate: Option<PathBuf>,
}

/// The two sides take turns, so that a machine whose speed drifts is as fast for both. The figures behind the pages are
/// taken every two seconds.
const TURN: Duration = Duration::from_secs(4);
/// CPU a request with five clients, of that with none.
const GOAL: f64 = 1.05;
/// The pages that stay open. The graph is the fourth client, `flamegate top` the fifth.
const OPEN: [&str; 3] = ["/live/overview", "/live/overview", "/live/components/pyroscope.write.default"];
const GRAPH: &str = "/profiles?last=60";
const TOP: (&str, Duration) = ("/api/v0/web/overview", Duration::from_secs(2));
/// Nothing comes for so long only where something is wrong.
const SILENCE: Duration = Duration::from_secs(60);

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    // One thread: the load is to leave the machine to the program.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        println!("CPU a request, in microseconds, with the web UI open on no client and on five");
        println!("{:<8}{:>12}{:>10}{:>10}{:>10}", "round", "requests", "none", "five", "ratio");
        let mut ratios = Vec::new();
        for round in 1..=arguments.rounds {
            let [none, five] = measure_round(arguments).await.with_context(|| format!("round {round}"))?;
            let ratio = five.microseconds() / none.microseconds();
            println!(
                "{round:<8}{:>12}{:>10.1}{:>10.1}{ratio:>10.3}",
                none.requests + five.requests,
                none.microseconds(),
                five.microseconds()
            );
            ratios.push(ratio);
        }
        let Spread { lowest, median, highest } = Spread::of(ratios.into_iter());
        println!("ratio {median:.3} ({lowest:.3} to {highest:.3})   goal <= {GOAL}");
        Ok(())
    })
}

/// What one side has done.
#[derive(Default)]
struct Done {
    requests: u64,
    cpu_seconds: f64,
}

impl Done {
    fn microseconds(&self) -> f64 {
        self.cpu_seconds * 1e6 / self.requests as f64
    }
}

/// A program and who sends to it.
struct Side {
    running: Running,
    fleet: Fleet,
    done: Done,
}

async fn measure_round(arguments: &Arguments) -> anyhow::Result<[Done; 2]> {
    let binary = binary(arguments.flamegate.as_deref())?;
    let (mut sides, mut uis, mut left) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..2 {
        let folder = tempfile::tempdir()?;
        let sink = program::start_sink(folder.path()).await?;
        let (running, ui) = program::start_viewed(&binary, sink.address, folder.path()).await?;
        let connections = usize::from(arguments.connections);
        let fleet = Fleet::open(running.address, connections, Payload::new(Mode::Push, running.address)?).await?;
        sides.push(Side { running, fleet, done: Done::default() });
        uis.push(ui);
        left.push((sink, folder));
    }
    for side in &mut sides {
        side.fleet.drive(WARM_UP).await?;
    }
    let ui = *uis.last().context("there is no UI")?;
    let mut clients = open(ui, Duration::from_secs(arguments.graph_every));
    sleep(SETTLE).await;
    for _ in 0..arguments.turns {
        for side in &mut sides {
            let before = side.running.group.cpu_seconds()?;
            let driven = side.fleet.drive(TURN).await?;
            side.done.cpu_seconds += side.running.group.cpu_seconds()? - before;
            side.done.requests += driven.requests;
        }
        // A client ends only where something is wrong.
        if let Some(ended) = clients.try_join_next() {
            ended??;
        }
    }
    let mut done = sides.into_iter().map(|side| side.done);
    let both = [done.next(), done.next()].map(Option::unwrap_or_default);
    ensure!(both.iter().all(|done| done.requests > 0), "nothing was sent");
    Ok(both)
}

/// Opens the UI on five clients.
fn open(ui: SocketAddr, graph_every: Duration) -> JoinSet<anyhow::Result<()>> {
    let mut clients = JoinSet::new();
    for path in OPEN {
        clients.spawn(async move { follow(ui, path).await.with_context(|| path) });
    }
    clients.spawn(async move { look_again(ui, GRAPH, graph_every).await.context(GRAPH) });
    let (path, every) = TOP;
    clients.spawn(async move { look_again(ui, path, every).await.context(path) });
    clients
}

/// Reads what a page sends while it is open.
async fn follow(ui: SocketAddr, path: &str) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(ui).await?;
    stream.write_all(request(ui, path).as_bytes()).await?;
    let mut piece = vec![0; 1 << 16];
    let mut is_first = true;
    loop {
        let length = timeout(SILENCE, stream.read(&mut piece)).await.context("nothing comes")??;
        let read = piece.get(..length).unwrap_or_default();
        ensure!(!read.is_empty(), "the page was closed");
        ensure!(!is_first || read.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(read));
        is_first = false;
    }
}

/// Asks for a page again and again.
async fn look_again(ui: SocketAddr, path: &str, every: Duration) -> anyhow::Result<()> {
    let mut connection = Connection::open(ui).await?;
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        looks.tick().await;
        let answer = connection.exchange(request(ui, path).as_bytes()).await?;
        ensure!(answer.status == 200, "answered with status {}", answer.status);
    }
}

/// As browsers ask.
pub(crate) fn request(ui: SocketAddr, path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {ui}\r\nAccept-Encoding: gzip\r\n\r\n")
}
