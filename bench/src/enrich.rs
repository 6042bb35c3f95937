//! What very many targets cost `pyroscope.enrich`: memory, reloads, and verdicts from cache and sandbox beside a native
//! map.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use alloy_syntax::{Scope, StdlibOptions, Value, ast, decode_block, parse_file};
use anyhow::{Context as _, anyhow, ensure};
use clap::{Args, value_parser};
use flamegate::component::{Component, Context, Services};
use flamegate::components::Enrich;
use flamegate::filters::{Builtin, ConfiguredFilter, FilterHost, FilterSettings, Rows, Tables, Verdict, VerdictCache};
use flamegate::telemetry::metrics::ComponentLabels;
use profiler_core::labels::Labels;

use crate::filters::label_set;
use crate::memory::resident;
use crate::timing::measure;

/// Flags of `enrich`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Targets, of 12 labels each
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1000..=1_000_000))]
    targets: u32,
    /// Rounds of each case; the fastest counts, as the least disturbed
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u32).range(1..=10_000))]
    rounds: u32,
}

/// The label of a target by which it is found, and that of a profile which names it.
const TARGET_LABEL: &str = "pod";
const PROFILE_LABEL: &str = "__meta_kubernetes_pod_name";
/// What is copied where not everything is.
const COPIED: [&str; 4] = ["namespace", "node", "owner", "team"];
/// Label sets of profiles that take turns, their targets spread over all.
const SETS: usize = 1000;
/// Memory that came to rest moves less than this, in bytes. The allocator gives back what is free after a second.
const REST: u64 = 256 << 10;
/// The longest that is waited for it, in steps of [`STEP`].
const STEPS: usize = 60;
const STEP: Duration = Duration::from_millis(250);

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let count = flags.targets as usize;
    memory_and_reloads(count)?;
    verdicts(count, flags.rounds)
}

fn memory_and_reloads(count: usize) -> anyhow::Result<()> {
    let bench = Pipeline::new()?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let text = (0..count).flat_map(|index| target(index, "shop")).map(|(name, value)| name.len() + value.len());
    let text = text.sum::<usize>() / count;

    // The filter is compiled and runs: what is added then are the targets.
    let (_, idle) = bench.evaluate(Value::array([]), None)?;
    let before = rested_memory()?;
    let (took, first) = bench.evaluate(list(count, "shop"), Some(&idle))?;
    drop(idle);
    let after = rested_memory()?;
    println!("{count} targets of 12 labels, {text} bytes of text each");
    println!("resident memory {:.1} MB without, {:.1} MB with them", megabytes(before), megabytes(after));
    println!("{:.0} bytes a target", after.saturating_sub(before) as f64 / count as f64);
    println!("first load              {:>8.1} ms", took.as_secs_f64() * 1e3);

    let (took, again) = bench.evaluate(list(count, "shop"), Some(&first))?;
    println!("reload, the same        {:>8.1} ms", took.as_secs_f64() * 1e3);
    println!(
        "resident memory {:.1} MB, the component of before and its arguments still held",
        megabytes(rested_memory()?)
    );
    let (took, changed) = bench.evaluate(list(count, "pay"), Some(&again))?;
    println!("reload, one changed     {:>8.1} ms", took.as_secs_f64() * 1e3);
    drop((first, again));
    println!("resident memory {:.1} MB, those of before gone", megabytes(rested_memory()?));
    drop(changed);
    Ok(())
}

/// A component as a configuration makes it.
struct Pipeline {
    services: Services,
    block: ast::Block,
}

/// A component that runs, and its arguments, which the graph holds as well.
struct Running {
    arguments: <Enrich as Component>::Arguments,
    component: Enrich,
}

impl Pipeline {
    fn new() -> anyhow::Result<Self> {
        let text = format!(
            "enrich \"bench\" {{\n\ttargets = targets\n\ttarget_match_label = {TARGET_LABEL:?}\n\t\
             profiles_match_label = {PROFILE_LABEL:?}\n\tforward_to = []\n}}\n"
        );
        let file =
            parse_file("bench.alloy", &text).map_err(|errors| anyhow!("the benchmark's text is wrong: {errors}"))?;
        let block = file.body.blocks().next().context("the text has no block")?.clone();
        Ok(Self { services: Services::new(std::env::temp_dir(), FilterHost::default()), block })
    }

    /// Decodes and builds, and how long that took; the list itself is gone afterwards, as that of a function is.
    fn evaluate(&self, targets: Value, previous: Option<&Running>) -> anyhow::Result<(Duration, Running)> {
        let scope = Scope::stdlib(&StdlibOptions::default()).with("targets", targets);
        let context = Context { component: ComponentLabels::top_level("enrich".into()), services: &self.services };
        let began = Instant::now();
        let arguments = decode_block(&self.block, &scope).map_err(|errors| anyhow!("{errors}"))?;
        let component = Enrich::build(&arguments, &context, previous.map(|previous| &previous.component))
            .map_err(|invalid| anyhow!(invalid.message))?;
        let took = began.elapsed();
        component.activate();
        Ok((took, Running { arguments, component }))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both are held for as long as the other: what they take together is what is measured.
        let Self { arguments, component } = self;
        std::hint::black_box((arguments, component));
    }
}

/// A list of targets; `team` is that of the one in the middle.
fn list(count: usize, team: &str) -> Value {
    let team_of = |index| if index == count / 2 { team } else { "shop" };
    Value::array(
        (0..count)
            .map(|index| Value::object(target(index, team_of(index)).map(|(name, value)| (name, Value::from(value))))),
    )
}

fn target(index: usize, team: &str) -> [(&'static str, String); 12] {
    [
        ("__address__", format!("10.{}.{}.{}:6060", index >> 16, (index >> 8) & 255, index & 255)),
        ("__meta_kubernetes_namespace", "prod-payments".to_owned()),
        ("__meta_kubernetes_pod_uid", format!("5a9b1c7e-0d3f-4e2a-9c81-{index:012x}")),
        ("app", "payments-api".to_owned()),
        ("cluster", "eu-west-1-a".to_owned()),
        ("container", "server".to_owned()),
        ("namespace", "prod-payments".to_owned()),
        ("node", format!("ip-10-4-17-{}.eu-west-1.compute.internal", index % 256)),
        ("owner", "ReplicaSet/payments-api-6c9d8f7b5".to_owned()),
        (TARGET_LABEL, format!("payments-api-6c9d8f7b5-{index:05}")),
        ("team", team.to_owned()),
        ("version", "v1.42.0".to_owned()),
    ]
}

fn verdicts(count: usize, rounds: u32) -> anyhow::Result<()> {
    let rows = (0..count).map(|index| Labels::from_pairs(target(index, "shop"))).collect::<Result<Vec<_>, _>>()?;
    let keyed =
        rows.iter().map(|row| Ok((row.value(TARGET_LABEL).context("a row without its key")?.to_owned(), row.clone())));
    let native: HashMap<String, Labels> = keyed.collect::<anyhow::Result<_>>()?;
    let rows = Rows::new(rows)?;
    let sets = (0..SETS).map(|index| label_set(index * (count / SETS))).collect::<Result<Vec<_>, _>>()?;
    println!("15 labels, {SETS} label sets                      ns a set   ratio to native");
    for copied in [&COPIED[..], &[]] {
        let sandboxed = filter(rows.clone(), copied)?;
        let cache = VerdictCache::new(NonZeroUsize::new(SETS).context("no sets")?);
        for set in &sets {
            let verdict = sandboxed.apply(set)?;
            ensure!(verdict == natively(&native, copied, set)?, "the sandbox and the native map differ on {set}");
            cache.insert(set.clone(), verdict);
        }
        let same = || sets.iter().collect();
        let by_native = measure(rounds, same, |set| natively(&native, copied, set).is_ok())?.fastest;
        let by_hit = measure(rounds, same, |set| cache.find(set).is_some())?.fastest;
        let by_miss = measure(rounds, same, |set| sandboxed.apply(set).is_ok())?.fastest;
        let what = if copied.is_empty() {
            "all 12 labels copied".to_owned()
        } else {
            format!("{} labels copied", copied.len())
        };
        for (name, nanos) in [("native map", by_native), ("hit: cache", by_hit), ("miss: sandbox", by_miss)] {
            println!("{:<42}{nanos:>13.0}{:>18.2}", format!("{what}, {name}"), nanos / by_native);
        }
    }
    Ok(())
}

fn filter(rows: Rows, copied: &[&str]) -> anyhow::Result<ConfiguredFilter> {
    let mut tables = Tables::default();
    tables.add("targets", TARGET_LABEL, rows)?;
    let (module, _) = FilterHost::default().builtin(Builtin::ENRICH)?;
    let settings = FilterSettings {
        name: "bench".into(),
        config: [&[PROFILE_LABEL], copied].concat().join("\n"),
        tables: Arc::new(tables),
        capabilities: Vec::new(),
        timeout: Duration::from_secs(10),
        memory_limit: 64 << 20,
        cpu_share: 1.0,
    };
    Ok(ConfiguredFilter::new(&module, settings)?)
}

/// The same verdict without a sandbox.
fn natively(targets: &HashMap<String, Labels>, copied: &[&str], labels: &Labels) -> anyhow::Result<Verdict> {
    let row = labels.value(PROFILE_LABEL).and_then(|pod| targets.get(pod));
    let Some(row) = row else { return Ok(Verdict::Unchanged) };
    let mut changed = labels.to_builder();
    let is_copied = |(name, _): &(&str, &str)| copied.is_empty() || copied.contains(name);
    row.iter().filter(is_copied).for_each(|(name, value)| changed.set(name, value));
    Ok(Verdict::Replace(changed.build()?))
}

/// Resident memory once the allocator has given back what is free.
fn rested_memory() -> anyhow::Result<u64> {
    // Longer than the second that the allocator waits.
    let mut before = [resident()?; 6];
    for step in 0..STEPS {
        sleep(STEP);
        let now = resident()?;
        let is_at_rest = before.iter().all(|then| then.abs_diff(now) < REST);
        before.rotate_left(1);
        if let Some(last) = before.last_mut() {
            *last = now;
        }
        if step >= before.len() && is_at_rest {
            return Ok(now);
        }
    }
    resident()
}
