//! `relabel_cache.json`: what the counters say after a sequence of label sets.

use std::sync::{Arc, LazyLock};

use alloy_syntax::{Capsule, Scope, StdlibOptions, Value, ast, decode_block, parse_file};
use profiler_core::labels::Labels;
use serde_json::Value as Json;

use super::*;
use crate::component::Services;
use crate::components::sink::Sink;
use crate::filters::FilterHost;
use crate::pipeline::{Batch, Body, Origin, Profile, Share, Stage};
use crate::telemetry::traces::Trace;

mod recordings;
mod samples;

/// Compiled once for all tests.
static FILTERS: LazyLock<FilterHost> = LazyLock::new(FilterHost::default);

struct Bench {
    services: Services,
    sink: Arc<Sink>,
}

impl Bench {
    fn new() -> Self {
        let services = Services::new(std::env::temp_dir(), FILTERS.clone());
        Self { services, sink: Arc::default() }
    }

    fn arguments(&self, block: &str) -> RelabelArguments {
        let file = parse_file("test.alloy", block).unwrap();
        let receiver = Receiver::new("sink".into(), self.sink.clone());
        let scope = Scope::stdlib(&StdlibOptions::default()).with("sink", Value::Capsule(Capsule::new(receiver)));
        let block: &ast::Block = file.body.blocks().next().unwrap();
        decode_block(block, &scope).unwrap()
    }

    fn build(&self, block: &str, previous: Option<&Relabel>) -> Relabel {
        let arguments = self.arguments(block);
        let context = Context { component: ComponentLabels::top_level("relabel".into()), services: &self.services };
        let relabel = Relabel::build(&arguments, &context, previous).unwrap();
        relabel.activate();
        relabel
    }
}

/// The `rule` blocks of a case, and the cache's size.
fn block(rules: &Json, cache_size: i64) -> String {
    let rules = blocks("rule", rules);
    format!("relabel \"x\" {{\n\tforward_to = [sink]\n\tmax_cache_size = {cache_size}\n{rules}}}\n")
}

fn blocks(name: &str, rules: &Json) -> String {
    let rule = |rule: &Json| {
        let attributes = rule.as_object().unwrap().iter().map(|(name, value)| format!("\t\t{name} = {value}\n"));
        format!("\t{name} {{\n{}\t}}\n", attributes.collect::<String>())
    };
    rules.as_array().unwrap().iter().map(rule).collect()
}

async fn push(relabel: &Relabel, input: &Json) {
    let labels: std::collections::BTreeMap<String, String> = serde_json::from_value(input.clone()).unwrap();
    let profile = profile(Labels::from_pairs(labels).unwrap(), Body::Pprof(Arc::new([])), Share::unbounded());
    let outcome = relabel.stage.push(Batch { profiles: vec![profile] }).await;
    assert_eq!(outcome.worst(), None);
}

#[tokio::test]
async fn counters_after_a_sequence() {
    let file: Json = serde_json::from_str(include_str!("../../../../tests/conformance/relabel_cache.json")).unwrap();
    for case in file["cases"].as_array().unwrap() {
        let id = case["id"].as_str().unwrap();
        let bench = Bench::new();
        let size = case["max_cache_size"].as_i64().unwrap();
        let mut relabel = bench.build(&block(&case["rules"], size), None);
        for input in case["inputs"].as_array().unwrap() {
            push(&relabel, input).await;
        }
        let metrics = relabel.stage.metrics.clone();
        let counts = [
            ("processed", metrics.processed.count()),
            ("written", metrics.written.count()),
            ("dropped", metrics.dropped.count()),
            ("cache_hits", metrics.cache_hits.count()),
            ("cache_misses", metrics.cache_misses.count()),
            ("cache_size", u64::try_from(metrics.cache_size.get()).unwrap()),
        ];
        for (name, count) in counts {
            let expected = deviation(id, name).or_else(|| case["expected"][name].as_u64());
            if let Some(expected) = expected {
                assert_eq!(count, expected, "{id}: {name}");
            }
        }
        if let Some(then) = case["then_update"].as_object() {
            assert_eq!(metrics.cache_size.get(), case["expected"]["cache_size_before"].as_i64().unwrap(), "{id}");
            relabel = bench.build(&block(&then["rules"], size), Some(&relabel));
            assert_eq!(metrics.cache_size.get(), case["expected"]["cache_size_after"].as_i64().unwrap(), "{id}");
        }
        if let Some(evicted) = case["expected"]["evicted"].as_object() {
            let before = metrics.cache_misses.count();
            push(&relabel, &Json::from(evicted.clone())).await;
            assert_eq!(metrics.cache_misses.count(), before + 1, "{id}: evicted");
        }
    }
}

fn profile(labels: Labels, body: Body, memory: Share) -> Profile {
    let origin = Origin {
        arrived: std::time::SystemTime::now(),
        trace: Trace::default(),
        forwarded: http::HeaderMap::new(),
        memory,
    };
    Profile::new(labels, body, Arc::new(origin))
}

/// What we count otherwise, from `deviations.toml`: `name=count`, separated by spaces.
fn deviation(id: &str, name: &str) -> Option<u64> {
    let all: toml::Table = include_str!("../../../../tests/conformance/deviations.toml").parse().unwrap();
    let found = all["deviation"].as_array().unwrap().iter().find(|deviation| {
        deviation["file"].as_str() == Some("relabel_cache.json") && deviation["id"].as_str() == Some(id)
    })?;
    let ours = found["ours"].as_str().unwrap().split(' ');
    ours.filter_map(|count| count.split_once('=')).find(|(counted, _)| *counted == name)?.1.parse().ok()
}

#[test]
fn arguments_are_shown_as_the_reference_shows_them() {
    let rules =
        serde_json::json!([{ "target_label": "env", "source_labels": ["a"], "action": "lowercase", "regex": "(.*)" }]);
    let arguments = Bench::new().arguments(&block(&rules, 10));
    let wanted = serde_json::json!([
        {"name": "forward_to", "type": "attr", "value": {"type": "array", "value": [
            {"type": "capsule", "value": "sink.receiver"},
        ]}},
        {"name": "max_cache_size", "type": "attr", "value": {"type": "number", "value": 10}},
        {"name": "rule", "type": "block", "body": [
            {"name": "source_labels", "type": "attr", "value": {"type": "array", "value": [
                {"type": "string", "value": "a"},
            ]}},
            {"name": "target_label", "type": "attr", "value": {"type": "string", "value": "env"}},
            {"name": "action", "type": "attr", "value": {"type": "string", "value": "lowercase"}},
        ]},
    ]);
    assert_eq!(alloy_syntax::json::body(&arguments.encode_body()), wanted);
}

#[tokio::test]
async fn a_reload_of_the_same_rules_keeps_the_verdicts() {
    let bench = Bench::new();
    let rules = serde_json::json!([{ "target_label": "env", "replacement": "prod" }]);
    let first = bench.build(&block(&rules, 10), None);
    push(&first, &serde_json::json!({ "a": "1" })).await;
    push(&first, &serde_json::json!({ "a": "2" })).await;
    let smaller = bench.build(&block(&rules, 1), Some(&first));
    assert_eq!(smaller.stage.metrics.cache_size.get(), 1);
    push(&smaller, &serde_json::json!({ "a": "2" })).await;
    assert_eq!(smaller.stage.metrics.cache_hits.count(), 1);
    let sent = bench.sink.profiles().last().unwrap().labels.to_string();
    assert_eq!(sent, r#"{a="2", env="prod"}"#);
}
