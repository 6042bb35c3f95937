//! What a verdict costs: found in the cache, made in the sandbox, and made by the same rules compiled natively.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::hint::black_box;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use flamegate::filters::{Builtin, ConfiguredFilter, FilterHost, FilterSettings, Tables, Verdict, VerdictCache};
use flamegate_relabel::{Action, Rule, RuleSet, Verdict as NativeVerdict};
use profiler_core::labels::Labels;

/// Flags of `filters`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds of each case; the fastest counts, as the least disturbed
    #[arg(long, default_value_t = 30)]
    rounds: u32,
}

/// Label sets that take turns, so that no single one stays in the processor's nearest cache.
const SETS: usize = 1000;

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let sets = (0..SETS).map(label_set).collect::<Result<Vec<_>, _>>()?;
    let native = RuleSet::compile(rules())?;
    let (module, _) = FilterHost::default().builtin(Builtin::RELABEL)?;
    let settings = FilterSettings {
        name: "bench".into(),
        config: serde_json::to_string(&rules())?,
        tables: Arc::new(Tables::default()),
        capabilities: Vec::new(),
        timeout: Duration::from_secs(10),
        memory_limit: 64 << 20,
        cpu_share: 1.0,
    };
    let sandboxed = ConfiguredFilter::new(&module, settings)?;
    let cache = VerdictCache::new(NonZeroUsize::new(SETS).context("no sets")?);
    for set in &sets {
        let verdict = sandboxed.apply(set)?;
        anyhow::ensure!(verdict == apply_natively(&native, set)?, "the sandbox and the native rules differ on {set}");
        cache.insert(set.clone(), verdict);
    }

    let by_native = fastest(arguments.rounds, &sets, |set| apply_natively(&native, set).is_ok());
    let by_hit = fastest(arguments.rounds, &sets, |set| cache.find(set).is_some());
    let by_miss = fastest(arguments.rounds, &sets, |set| sandboxed.apply(set).is_ok());
    println!("15 labels, 5 rules, {SETS} label sets          ns a set   ratio to native");
    for (name, nanos) in [
        ("native rules", by_native),
        ("hit: verdict from the cache", by_hit),
        ("miss: verdict from the sandbox", by_miss),
    ] {
        println!("{name:<38}{nanos:>13.0}{:>18.2}", nanos / by_native);
    }
    Ok(())
}

/// Nanoseconds for one set, of the fastest round over all sets.
pub(crate) fn fastest(rounds: u32, sets: &[Labels], mut judge: impl FnMut(&Labels) -> bool) -> f64 {
    let round = |_| {
        let began = Instant::now();
        for set in sets {
            black_box(judge(black_box(set)));
        }
        began.elapsed().as_secs_f64() * 1e9 / sets.len() as f64
    };
    (0..rounds).map(round).fold(f64::INFINITY, f64::min)
}

/// The verdict as the host needs it: with a label set that can be sent on.
fn apply_natively(rules: &RuleSet, labels: &Labels) -> anyhow::Result<Verdict> {
    let borrowed: Vec<(&str, &str)> = labels.iter().collect();
    Ok(match rules.apply(&borrowed) {
        NativeVerdict::Unchanged => Verdict::Unchanged,
        NativeVerdict::Drop(reason) => Verdict::Drop(reason.into()),
        NativeVerdict::Change(change) => {
            let mut changed = labels.to_builder();
            let removed = change.removed.iter().filter_map(|index| borrowed.get(*index));
            removed.for_each(|(name, _)| changed.remove(*name));
            change.set.into_iter().for_each(|(name, value)| changed.set(name, value));
            Verdict::Replace(changed.build()?)
        }
    })
}

pub(crate) fn label_set(index: usize) -> Result<Labels, profiler_core::labels::LabelError> {
    let pod = format!("payments-api-6c9d8f7b5-{index:05}");
    Labels::from_pairs([
        ("__address__", "10.4.17.32:6060"),
        ("__meta_kubernetes_namespace", "prod-payments"),
        ("__meta_kubernetes_node_name", "ip-10-4-17-2.eu-west-1.compute.internal"),
        ("__meta_kubernetes_pod_container_name", "server"),
        ("__meta_kubernetes_pod_label_app", "payments-api"),
        ("__meta_kubernetes_pod_label_pod_template_hash", "6c9d8f7b5"),
        ("__meta_kubernetes_pod_label_version", "v1.42.0"),
        ("__meta_kubernetes_pod_name", pod.as_str()),
        ("__name__", "process_cpu"),
        ("__period_type__", "cpu"),
        ("__profile_type__", "process_cpu:cpu:nanoseconds:cpu:nanoseconds"),
        ("cluster", "eu-west-1-a"),
        ("job", "kubernetes-pods"),
        ("namespace", "prod-payments"),
        ("region", "eu-west-1"),
    ])
}

fn rules() -> Vec<Rule> {
    let rule = |action, source_labels: &[&str], regex: &str, target_label: &str, replacement: &str| Rule {
        action,
        source_labels: source_labels.iter().map(|label| (*label).to_owned()).collect(),
        regex: regex.to_owned(),
        target_label: target_label.to_owned(),
        replacement: replacement.to_owned(),
        ..Rule::default()
    };
    let from = ["__meta_kubernetes_namespace", "__meta_kubernetes_pod_container_name"];
    vec![
        rule(Action::Replace, &from, "(.+);(.+)", "service_name", "$1/$2"),
        rule(Action::LabelMap, &[], "__meta_kubernetes_pod_label_(.+)", "", "$1"),
        rule(Action::Keep, &["namespace"], "prod-.*|staging-.*|dev", "", "$1"),
        rule(Action::Drop, &["service_name"], ".*canary.*", "", "$1"),
        rule(Action::LabelDrop, &[], "__meta_.*|pod_template_hash", "", "$1"),
    ]
}
