//! What a verdict costs: found in the cache, made in the sandbox, and made by the same rules compiled natively.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Args;
use flamegate::component::Services;
use flamegate::filters::{
    Builtin, ConfiguredFilter, Filter, FilterHost, FilterSettings, Generation, Module, Remember, Tables, VerdictCache,
};
use flamegate::telemetry::metrics::ComponentLabels;
use flamegate_relabel::RuleSet;
use profiler_core::labels::Labels;
use tokio::runtime::{Builder, Runtime};

use self::rules::apply_natively;
pub(crate) use self::rules::label_set;
use crate::timing::{Timing, measure};

mod rules;

/// Flags of `filters`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds of each case over all label sets
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
    /// Another build of the filter of rules, to be measured beside the one that is compiled in
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

/// Label sets that take turns, so that no single one stays in the processor's nearest cache.
const SETS: usize = 1000;
/// Nanoseconds for a verdict from the cache on labels as they come from a request.
const GOAL_HIT: f64 = 150.0;
/// A verdict from the sandbox over one without.
const GOAL_MISS: f64 = 1.5;

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    // Calls that are made on other threads wait for them with the runtime's clock.
    let _entered = runtime.enter();
    let rounds = arguments.rounds;
    let sets = (0..SETS).map(label_set).collect::<Result<Vec<_>, _>>()?;
    let native = RuleSet::compile(rules::rules())?;
    let services = Services::new(std::env::temp_dir(), FilterHost::default());
    let (module, _) = services.filters.builtin(Builtin::RELABEL)?;

    let sandboxed = checked(&module, &native, &sets)?;
    let cache = VerdictCache::new(NonZeroUsize::new(SETS).context("no sets")?);
    for set in &sets {
        cache.insert(set.clone(), sandboxed.apply(set)?);
    }
    // As large as there are sets: all are hits. Of one: each set pushes out the last, and none is.
    let hits = pipeline_filter(&module, &services, SETS, &runtime)?;
    let misses = pipeline_filter(&module, &services, 1, &runtime)?;
    for set in &sets {
        ensure!(hits.judge(set).is_some(), "no verdict on {set}");
    }

    let same = || sets.iter().collect();
    let fresh = || sets.iter().map(copy).collect();
    let packed = || sets.iter().map(pack).collect();
    let is_found = |labels: &Labels| cache.find(labels).is_some();
    let by_native = measure(rounds, same, |set| apply_natively(&native, set).is_ok())?;
    let hit = measure(rounds, fresh, |set| is_found(&set))?;
    let miss = measure(rounds, same, |set| sandboxed.apply(set).is_ok())?;
    let mut rows = vec![
        ("native rules", by_native),
        ("hit, the allocation that the cache has", measure(rounds, same, is_found)?),
        ("hit, labels of another allocation", hit),
        (
            "hit, labels made of packed text first",
            measure(rounds, packed, |(text, ends)| Labels::from_packed(text, ends).is_ok_and(|set| is_found(&set)))?,
        ),
        ("hit, as a component asks", measure(rounds, fresh, |set| hits.judge(&set) == Some(true))?),
        ("miss, the sandbox alone", miss),
        ("miss, as a component asks", measure(rounds, same, |set| misses.judge(set) == Some(false))?),
    ];
    if let Some(file) = &arguments.against {
        let bytes = std::fs::read(file).with_context(|| file.display().to_string())?;
        let (module, _) = services.filters.load(&bytes)?;
        let other = checked(&module, &native, &sets)?;
        rows.push(("miss, --against alone", measure(rounds, same, |set| other.apply(set).is_ok())?));
    }

    println!(
        "{:<42}{:>12}{:>10}{:>10}{:>18}",
        format!("15 labels, 5 rules, {SETS} sets: ns a set"),
        "fastest",
        "p50",
        "p99",
        "ratios to native"
    );
    for (name, timing) in rows {
        let Timing { fastest, p50, p99 } = timing;
        let ratios = [fastest / by_native.fastest, p50 / by_native.p50, p99 / by_native.p99];
        println!(
            "{name:<42}{fastest:>12.0}{p50:>10.0}{p99:>10.0}   {}",
            ratios.map(|ratio| format!("{ratio:>5.2}")).join("")
        );
    }
    println!(
        "goals: hit of another allocation {:.0} ns, at most {GOAL_HIT:.0}; miss {:.2} times native, at most {GOAL_MISS}",
        hit.fastest,
        miss.fastest / by_native.fastest
    );
    Ok(())
}

/// A filter that decides as the native rules do.
fn checked(module: &Module, native: &RuleSet, sets: &[Labels]) -> anyhow::Result<ConfiguredFilter> {
    let filter = ConfiguredFilter::new(module, settings()?)?;
    for set in sets {
        ensure!(filter.apply(set)? == apply_natively(native, set)?, "the sandbox and the native rules differ on {set}");
    }
    Ok(filter)
}

/// The same with all that keeps a pipeline from harm, as a component has it.
fn pipeline_filter<'a>(
    module: &Module,
    services: &Services,
    label_sets: usize,
    runtime: &'a Runtime,
) -> anyhow::Result<Asking<'a>> {
    let remember = Remember { label_sets: NonZeroUsize::new(label_sets), deterministic: None };
    let generation = Generation::new(module, settings()?, remember)?;
    let metrics = services.metrics.filter(&ComponentLabels::top_level(format!("bench.{label_sets}").into()));
    let filter = Filter::new(Arc::new(generation), &services.filters, metrics);
    Ok(Asking { runtime, filter })
}

/// Asks a filter as a component does.
struct Asking<'a> {
    runtime: &'a Runtime,
    filter: Filter,
}

impl Asking<'_> {
    /// Whether the verdict was kept; `None` where there is none.
    fn judge(&self, labels: &Labels) -> Option<bool> {
        let mut judged = pin!(self.filter.judge(labels));
        // At once, unless a call was disturbed: then the next ones are made on other threads.
        let judged = match judged.as_mut().poll(&mut TaskContext::from_waker(Waker::noop())) {
            Poll::Ready(judged) => judged,
            Poll::Pending => self.runtime.block_on(judged),
        };
        Some(judged.ok()?.from_cache)
    }
}

fn copy(labels: &Labels) -> Labels {
    let (text, ends) = pack(labels);
    Labels::from_packed(text, ends).unwrap_or_else(|_| Labels::empty())
}

fn pack(labels: &Labels) -> (String, Vec<u32>) {
    (labels.text().to_owned(), labels.ends().to_vec())
}

fn settings() -> anyhow::Result<FilterSettings> {
    Ok(FilterSettings {
        name: "bench".into(),
        config: serde_json::to_string(&rules::rules())?,
        tables: Arc::new(Tables::default()),
        capabilities: Vec::new(),
        timeout: Duration::from_secs(10),
        memory_limit: 64 << 20,
        cpu_share: 1.0,
    })
}
