//! How long it takes to open a profile of 500,000 samples and 200,000 frames: the process' CPU from the request for the
//! page to its last byte, and what of it is reading and merging.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::hint::black_box;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, ensure};
use bytes::Bytes;
use clap::{Args, value_parser};
use profiler_core::flame::{Order, PprofMessage, Side, Tree, TreeBuilder, Window};
use profiler_core::pprof::decompress;
use tokio::time::sleep;

use self::profile::{FRAMES, SAMPLES, Shape};
use crate::load::connection::Connection;
use crate::load::program::{self, Running, binary};
use crate::load::ui::request;
use crate::timing::fastest;

mod profile;

/// Flags of `flame`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// How often each profile is opened; the fastest counts, as the least disturbed
    #[arg(long, default_value_t = 7, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// Reads and merges one profile once, and nothing else, as for a profiler
    #[arg(long)]
    once: bool,
    /// Flamegate's binary [default: beside this program]
    #[arg(long, value_name = "FILE", conflicts_with = "once")]
    flamegate: Option<PathBuf>,
}

/// CPU of the page, in milliseconds.
const GOAL: f64 = 1000.0;
/// Once unpacked.
const LIMIT: usize = 128 << 20;
/// What a pushed profile still costs once it is answered.
const SETTLE: Duration = Duration::from_secs(2);
const SHAPES: [(&str, Shape); 2] = [("as a program calls", Shape::Program), ("at random", Shape::Random)];

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    if flags.once {
        let profile = profile::make(Shape::Program)?.into();
        black_box(drawn(&merged(&profile)?));
        return Ok(());
    }
    println!("{SAMPLES} samples, {FRAMES} frames; milliseconds of CPU");
    println!(
        "{:<22}{:>10}{:>10}{:>10}{:>10}{:>10}{:>12}{:>12}",
        "stacks", "MB gzip", "unpacked", "functions", "unpack", "merge", "draw", "the page"
    );
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    for (name, shape) in SHAPES {
        let profile = Bytes::from(profile::make(shape)?);
        let message = decompress(&profile, LIMIT)?;
        let tree = merged(&profile)?;
        let unpack = fastest(flags.rounds, || Ok(decompress(&profile, LIMIT)?))?;
        let merge = fastest(flags.rounds, || merged(&message))?;
        let draw = fastest(flags.rounds, || Ok(drawn(&tree)))?;
        let page = runtime.block_on(page(flags, &profile, shape))?;
        let [gzipped, unpacked] = [profile.len(), message.len()].map(|bytes| bytes as f64 / 1e6);
        println!(
            "{name:<22}{gzipped:>10.1}{unpacked:>10.1}{:>10}{unpack:>10.0}{merge:>10.0}{draw:>12.0}{page:>12.0}   goal < {GOAL}",
            tree.len()
        );
    }
    Ok(())
}

fn merged(profile: &Bytes) -> anyhow::Result<Tree> {
    let message = decompress(profile, LIMIT)?;
    let message = PprofMessage::read(&message)?;
    let mut tree = TreeBuilder::default();
    ensure!(tree.add_message(&message, "cpu", Side::Shown)?, "the profile has no CPU time");
    Ok(tree.finish())
}

/// Frames and rows, as many as a page has.
fn drawn(tree: &Tree) -> usize {
    let layout = tree.layout(Window { focus: None, narrowest: 1.0 / 1600.0, most: 4000 }, None);
    layout.frames.len() + tree.functions(Order::Own, 100).len()
}

/// CPU of the process for the page of a profile, in milliseconds.
async fn page(flags: &Flags, profile: &Bytes, shape: Shape) -> anyhow::Result<f64> {
    let folder = tempfile::tempdir()?;
    let sink = program::start_sink(folder.path()).await?;
    let binary = binary(flags.flamegate.as_deref())?;
    let (running, ui) = program::start_viewed(&binary, sink.address, folder.path()).await?;
    push(&running, profile).await?;
    sleep(SETTLE).await;
    let mut fastest = f64::INFINITY;
    for round in 0..flags.rounds {
        fastest = fastest.min(opened(&running, ui, round, shape).await?);
    }
    Ok(fastest)
}

async fn push(running: &Running, profile: &Bytes) -> anyhow::Result<()> {
    let address = running.address;
    let head = format!(
        "POST /ingest?name=shop%7Bnamespace%3Dshop%7D&format=pprof HTTP/1.1\r\nHost: {address}\r\n\
         Content-Type: binary/octet-stream\r\nContent-Length: {}\r\n\r\n",
        profile.len()
    );
    let answer = Connection::open(address).await?.exchange(&[head.as_bytes(), profile].concat()).await?;
    ensure!(answer.status == 200, "the profile is answered with status {}", answer.status);
    Ok(())
}

async fn opened(running: &Running, ui: SocketAddr, round: u32, shape: Shape) -> anyhow::Result<f64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    // Another time each round: what is drawn is kept for who asks for the same.
    let path = format!("/profiles?from={}&until={now}", u128::from(round));
    let before = running.group.cpu_seconds()?;
    let answer = Connection::open(ui).await?.exchange(request(ui, &path).as_bytes()).await?;
    let cpu = running.group.cpu_seconds()? - before;
    ensure!(answer.status == 200, "the page is answered with status {}", answer.status);
    let mut page = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(answer.body.as_slice()), &mut page)?;
    ensure!(page.contains("in 1 profile"), "the page does not show the profile");
    let frames = page.matches("class=\"frame ").count();
    // Where any function calls any other, each is too narrow to be drawn: what is left is the whole.
    let fewest = match shape {
        Shape::Program => 100,
        Shape::Random => 1,
    };
    (frames >= fewest).then_some(cpu * 1e3).with_context(|| format!("the page has {frames} frames alone"))
}
