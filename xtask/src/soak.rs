//! `cargo xtask soak …`: what takes longer than anyone waits for before a change lands.

mod kernels;

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;

use crate::guests::Language;
use crate::steps;
use crate::{bench, debian, fuzz, oracles};

/// What to let run.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Soak {
    /// Kills, ends, starts and cuts off nodes of a cluster of five, and fails if they do not find each other again, or a
    /// target is not scraped by exactly one. Needs root
    Cluster {
        /// How many such events
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        events: u32,
    },
    /// Fuzzes the configuration language and edits of profiles, and adds the inputs that reach new code to fuzz/corpus/
    Fuzz {
        /// How long in all
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
    },
    /// Calls the example filters in Go and JavaScript, the languages that collect garbage in the sandbox under load,
    /// and fails if their memory grows
    Guests {
        /// Calls of each
        #[arg(long, default_value_t = 1_000_000)]
        calls: u64,
    },
    /// Boots Debian's kernels 6.1 and 6.12 in QEMU, and fails if what is sampled there is not what runs there
    Kernels,
    /// Compares the stacks of Java, Node.js and CPython with those that async-profiler, V8's own profiler and py-spy see in
    /// the same run, and fails where more than chance is between them. Needs root, and a machine with nothing else to do
    Oracles,
    /// Kills Flamegate with a durable queue under load, at random instants, and fails if anything is lost that was
    /// answered
    Queue {
        /// How often
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
        kills: u32,
    },
}

/// Runs it to its end.
///
/// # Errors
/// What it found, or what is missing for running it.
pub(crate) fn run(root: &Path, soak: Soak) -> anyhow::Result<()> {
    debian::provide_build_tools()?;
    match soak {
        Soak::Cluster { events } => cluster(root, events),
        Soak::Fuzz { minutes } => fuzz::run_and_keep(root, Duration::from_secs(60 * u64::from(minutes))),
        Soak::Guests { calls } => {
            bench::guests(root, &[Language::Go, Language::JavaScript], &["--calls".to_owned(), calls.to_string()])
        }
        Soak::Kernels => kernels::run(root),
        Soak::Oracles => oracles::run(root),
        Soak::Queue { kills } => queue(root, kills),
    }
}

fn cluster(root: &Path, events: u32) -> anyhow::Result<()> {
    debian::provide_network_tools()?;
    steps::build_flamegate(root)?;
    let mut test = steps::test(root, "--test cluster -- --nocapture");
    steps::run(test.env("FLAMEGATE_CLUSTER_EVENTS", events.to_string()))
}

fn queue(root: &Path, kills: u32) -> anyhow::Result<()> {
    steps::build_flamegate(root)?;
    let mut test = steps::test(root, "--test durable_queue -- --nocapture kill::");
    steps::run(test.env("FLAMEGATE_KILLS", kills.to_string()))
}
