//! The promise of `wit/`: a filter built against 0.1 keeps running. The components here are not built again.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flamegate::filters::{ConfiguredFilter, FilterHost, FilterSettings, Rows, Tables, Verdict, World};
use flamegate::pipeline::Share;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

/// `guest-examples/enrich`, of before the contract had a clock.
const LABELS: &[u8] = include_bytes!("contract/labels-filter-0.1.0.wasm");
/// `guest-examples/redact`, as old.
const PROFILE: &[u8] = include_bytes!("contract/profile-filter-0.1.0.wasm");

#[test]
fn a_labels_filter_of_0_1_runs() {
    let target = Labels::from_pairs([("pod", "a"), ("team", "x")]).unwrap();
    let mut tables = Tables::default();
    tables.add("targets", "pod", Rows::new(vec![target]).unwrap()).unwrap();
    let filter = run(LABELS, World::Labels, "pod", tables);
    let verdict = filter.apply(&Labels::from_pairs([("pod", "a")]).unwrap()).unwrap();
    assert_eq!(verdict, Verdict::Replace(Labels::from_pairs([("pod", "a"), ("team", "x")]).unwrap()));
}

#[test]
fn a_profile_filter_of_0_1_runs() {
    let filter = run(PROFILE, World::Profile, "secret", Tables::default());
    let applied = filter.apply_to_profile(&Labels::empty(), &Bytes::new(), Share::unbounded()).unwrap();
    assert_eq!(applied, (Verdict::Unchanged, Edited::Unchanged));
}

fn run(component: &[u8], world: World, config: &str, tables: Tables) -> ConfiguredFilter {
    let (module, _) = FilterHost::default().load(component).unwrap();
    assert_eq!(module.world(), world);
    let settings = FilterSettings {
        name: "old".into(),
        config: config.to_owned(),
        tables: Arc::new(tables),
        capabilities: Vec::new(),
        timeout: Duration::from_secs(1),
        memory_limit: 16 << 20,
        cpu_share: 1.0,
    };
    ConfiguredFilter::new(&module, settings).unwrap()
}
