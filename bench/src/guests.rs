//! The example filters, each called for a long time: what a call costs in each language, and whether memory stays.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use clap::Args;
use flamegate::filters::{ConfiguredFilter, FilterHost, FilterSettings, Tables, Verdict};
use profiler_core::labels::Labels;

use crate::filters;
use crate::memory::resident;

/// Flags of `guests`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Calls of each
    #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(PARTS..))]
    calls: u64,
    /// Components of guest-examples/team-label
    #[arg(required = true)]
    components: Vec<PathBuf>,
}

/// A run is cut into these; memory is read after each.
const PARTS: u64 = 10;
/// Bytes that the process may hold at the end beyond the least it held after any part: pages that a collector touches
/// now and then, and what the allocator keeps. The least, for in the first seconds the allocator gives back what the
/// compiler took. A leak of eight bytes a call exceeds it in a million calls.
const FLUCTUATION: u64 = 4 << 20;
/// Label sets that take turns.
const SETS: usize = 1000;
/// The default of `wasm.filter`: an instance that wants more traps, which ends the run.
const MEMORY_LIMIT: usize = 64 << 20;

/// Measures one after the other, and prints.
///
/// # Errors
/// A component that is none, a call that fails, a verdict that is wrong, or memory that grows.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let sets = (0..SETS).map(label_set).collect::<anyhow::Result<Vec<_>>>()?;
    for component in &arguments.components {
        measure(component, &sets, arguments.calls).with_context(|| component.display().to_string())?;
    }
    Ok(())
}

fn measure(component: &Path, sets: &[Labels], calls: u64) -> anyhow::Result<()> {
    let bytes = std::fs::read(component)?;
    let (loaded, compiling) = timed(|| FilterHost::default().load(&bytes));
    let (module, _) = loaded?;
    let (filter, configuring) = timed(|| ConfiguredFilter::new(&module, settings()));
    let filter = filter?;
    println!("{}: {} bytes", component.display(), bytes.len());
    println!("  compiled in {:.1} s, first instance in {:.2} ms", compiling.as_secs_f64(), millis(configuring));

    let mut after_parts = Vec::new();
    for part in 0..PARTS {
        // The last part takes the remainder of the division as well.
        let calls = calls / PARTS + if part + 1 == PARTS { calls % PARTS } else { 0 };
        let (called, took) = timed(|| call(&filter, sets, calls));
        called?;
        let memory = resident()?;
        println!(
            "  {calls} calls, {:.2} us each; {:.1} MiB resident",
            took.as_secs_f64() * 1e6 / calls as f64,
            memory as f64 / f64::from(1 << 20)
        );
        after_parts.push(memory);
    }
    let (least, last) = (after_parts.iter().copied().min().unwrap_or(0), after_parts.last().copied().unwrap_or(0));
    ensure!(
        last <= least + FLUCTUATION,
        "memory grew from {least} to {last} bytes: the filter keeps what it is handed"
    );
    Ok(())
}

/// Two of three sets get a label, every third is dropped.
fn call(filter: &ConfiguredFilter, sets: &[Labels], calls: u64) -> anyhow::Result<()> {
    let turns = (0..calls).zip(sets.iter().enumerate().cycle());
    for (call, (index, labels)) in turns {
        let right = match filter.apply(labels).with_context(|| format!("call {call}"))? {
            Verdict::Drop(_) => is_dropped(index),
            Verdict::Replace(changed) => !is_dropped(index) && changed.value("team") == Some("payments"),
            Verdict::Unchanged => false,
        };
        ensure!(right, "call {call}: a wrong verdict on {labels}");
    }
    Ok(())
}

fn label_set(index: usize) -> anyhow::Result<Labels> {
    let base = filters::label_set(index)?;
    let mut labels = base.to_builder();
    labels.set("service_name", "payments-api");
    if is_dropped(index) {
        labels.set("namespace", "sandbox");
    }
    Ok(labels.build()?)
}

fn is_dropped(index: usize) -> bool {
    index.is_multiple_of(3)
}

fn settings() -> FilterSettings {
    FilterSettings {
        name: "bench".into(),
        config: "team checkout- checkout\nteam payments- payments\ndrop dev\ndrop sandbox".into(),
        tables: Arc::new(Tables::default()),
        capabilities: Vec::new(),
        timeout: Duration::from_secs(10),
        memory_limit: MEMORY_LIMIT,
        cpu_share: 1.0,
    }
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    (work(), began.elapsed())
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}
