//! `enrich.json` through the component, and what a reload leaves and changes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use profiler_core::labels::Labels;
use serde_json::{Value as Json, json};

use super::*;
use crate::component::Services;
use crate::components::sink::Sink;
use crate::filters::FilterHost;
use crate::pipeline::{Batch, Body, Origin, Profile, Share, Stage};
use crate::telemetry::traces::Trace;

/// Compiled once for all tests.
static FILTERS: LazyLock<FilterHost> = LazyLock::new(FilterHost::default);

struct Bench {
    services: Services,
    sink: Arc<Sink>,
    other_sink: Arc<Sink>,
}

impl Bench {
    fn new() -> Self {
        let services = Services::new(std::env::temp_dir(), FILTERS.clone());
        Self { services, sink: Arc::default(), other_sink: Arc::default() }
    }

    fn arguments(&self, body: &str) -> Result<EnrichArguments, String> {
        let file = parse_file("test.alloy", &format!("enrich \"x\" {{\n{body}\n}}\n")).unwrap();
        let receiver = |name: &str, sink: &Arc<Sink>| Value::capsule(Receiver::new(name.into(), sink.clone()));
        let scope = Scope::stdlib(&StdlibOptions::default())
            .with("sink", receiver("sink", &self.sink))
            .with("other_sink", receiver("other_sink", &self.other_sink));
        decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())
    }

    fn start(&self, body: &str, previous: Option<&Enrich>) -> (EnrichArguments, Enrich) {
        let arguments = self.arguments(body).unwrap();
        let context = Context { component: ComponentLabels::top_level("enrich".into()), services: &self.services };
        let enrich = Enrich::build(&arguments, &context, previous).map_err(|invalid| invalid.message).unwrap();
        enrich.activate();
        (arguments, enrich)
    }
}

/// A body with these arguments, in place of which JSON's syntax is the language's.
fn body(arguments: &Json) -> String {
    let attributes = arguments.as_object().unwrap().iter().map(|(name, value)| match name.as_str() {
        "targets" => format!("targets = encoding.from_json({:?})\n", value.to_string()),
        _ => format!("{name} = {value}\n"),
    });
    attributes.chain(["forward_to = [sink]\n".to_owned()]).collect()
}

fn targets(targets: &Json) -> String {
    body(&json!({ "targets": targets, "target_match_label": "pod" }))
}

async fn push(enrich: &Enrich, labels: &Json) {
    let labels: BTreeMap<String, String> = serde_json::from_value(labels.clone()).unwrap();
    let origin = Origin {
        arrived: std::time::SystemTime::now(),
        trace: Trace::default(),
        forwarded: http::HeaderMap::new(),
        memory: Share::unbounded(),
    };
    let labels = Labels::from_pairs(labels).unwrap();
    let profile = Profile::new(labels, Body::Pprof(Arc::new([])), Arc::new(origin));
    let outcome = enrich.stage.push(Batch { profiles: vec![profile] }).await;
    assert_eq!(outcome.worst(), None);
}

#[tokio::test]
async fn all_cases() {
    let file: Json = serde_json::from_str(include_str!("../../../../tests/conformance/enrich.json")).unwrap();
    let bench = Bench::new();
    for case in file["cases"].as_array().unwrap() {
        let (_, enrich) = bench.start(&body(&case["args"]), None);
        // Twice: made by the filter, and remembered.
        push(&enrich, &case["input"]).await;
        push(&enrich, &case["input"]).await;
        assert_eq!(enrich.stage.filter.metrics().cache_hits.count(), 1, "{}", case["id"]);
        let expected: BTreeMap<String, String> = serde_json::from_value(case["output"].clone()).unwrap();
        let expected = Labels::from_pairs(expected).unwrap().to_string();
        assert_eq!(bench.sink.take_labels(), [expected.clone(), expected], "{}", case["id"]);
        enrich.forget();
    }
}

#[tokio::test]
async fn another_receiver_takes_over_and_verdicts_and_rows_stay() {
    let bench = Bench::new();
    let list = json!([{ "pod": "a", "team": "shop" }]);
    let (first_arguments, first) = bench.start(&targets(&list), None);
    push(&first, &json!({ "pod": "a" })).await;
    assert_eq!(bench.sink.take_labels(), [r#"{pod="a", team="shop"}"#]);

    let (arguments, second) = bench.start(&targets(&list).replace("[sink]", "[other_sink]"), Some(&first));
    push(&second, &json!({ "pod": "a" })).await;
    assert!(bench.sink.take_labels().is_empty(), "the receiver of before still gets profiles");
    assert_eq!(bench.other_sink.take_labels(), [r#"{pod="a", team="shop"}"#]);
    assert_eq!(second.stage.filter.metrics().cache_hits.count(), 1);
    let generations = [&first, &second].map(|enrich| enrich.stage.filter.generation());
    assert_eq!(generations[0].number(), generations[1].number());
    let rows = generations[1].filter().settings().tables.rows(TABLE).unwrap().clone();
    for arguments in [first_arguments, arguments] {
        assert!(arguments.targets.rows(None).is_shared_with(&rows), "a copy of the targets");
    }
}

#[tokio::test]
async fn new_targets_bring_new_verdicts() {
    let bench = Bench::new();
    let list = |team: &str| targets(&json!([{ "pod": "a", "team": team }]));
    let mut enrich = None;
    for team in ["shop", "pay", "shop"] {
        let (_, next) = bench.start(&list(team), enrich.as_ref());
        for _ in 0..2 {
            push(&next, &json!({ "pod": "a" })).await;
            assert_eq!(bench.sink.take_labels(), [format!(r#"{{pod="a", team="{team}"}}"#)]);
        }
        if let Some(before) = &enrich {
            // Whoever has not heard of the new ones yet gets those of before, and leaves no verdict to the others.
            push(before, &json!({ "pod": "a", "late": "1" })).await;
            let late = bench.sink.take_labels();
            push(&next, &json!({ "pod": "a", "late": "1" })).await;
            assert_ne!(bench.sink.take_labels(), late);
        }
        enrich = Some(next);
    }
    let last = enrich.unwrap();
    let (_, other_labels) = bench.start(&format!("{}labels_to_copy = [\"x\"]", list("shop")), Some(&last));
    push(&other_labels, &json!({ "pod": "a" })).await;
    assert_eq!(bench.sink.take_labels(), [r#"{pod="a"}"#]);
}

#[tokio::test]
async fn profiles_pass_before_there_are_targets() {
    let bench = Bench::new();
    let mut enrich = None;
    for none in [json!(null), json!([]), json!([{}])] {
        let (_, next) = bench.start(&targets(&none), enrich.as_ref());
        push(&next, &json!({ "pod": "a" })).await;
        push(&next, &json!({})).await;
        assert_eq!(bench.sink.take_labels(), [r#"{pod="a"}"#, "{}"], "{none}");
        enrich = Some(next);
    }
    let (_, found) = bench.start(&targets(&json!([{ "pod": "a", "team": "shop" }])), enrich.as_ref());
    push(&found, &json!({ "pod": "a" })).await;
    assert_eq!(bench.sink.take_labels(), [r#"{pod="a", team="shop"}"#]);
}

#[tokio::test]
async fn it_shows_how_many_profiles_named_a_target() {
    let bench = Bench::new();
    let list = json!([{ "pod": "a" }, { "pod": "a", "team": "shop" }, { "pod": "b" }, { "team": "pay" }]);
    let (_, first) = bench.start(&targets(&list), None);
    for labels in [json!({ "pod": "a" }), json!({ "pod": "b" }), json!({ "pod": "c" }), json!({ "pod": "" })] {
        push(&first, &labels).await;
    }
    let (_, enrich) = bench.start(&targets(&json!([{ "pod": "c" }])), Some(&first));
    push(&enrich, &json!({ "pod": "c" })).await;
    let shown = |enrich: &Enrich| {
        let info = enrich.debug_info().unwrap();
        ["targets", "matched", "unmatched", "verdicts"].map(|name| info.fields().unwrap()[name].clone())
    };
    assert_eq!(shown(&first)[0], Value::Int(4));
    assert_eq!(first.debug_info().unwrap().fields().unwrap()["table_rows"].fields().unwrap()["targets"], Value::Int(2));
    assert_eq!(shown(&enrich), [1, 3, 2, 1].map(Value::Int));
}

#[test]
fn arguments_are_shown_as_the_reference_shows_them() {
    let arguments = Bench::new().arguments(&targets(&json!([{ "pod": "a", "b": "" }]))).unwrap();
    let text = |text: &str| json!({ "type": "string", "value": text });
    let target = json!([{ "key": "b", "value": text("") }, { "key": "pod", "value": text("a") }]);
    let wanted = json!([
        {"name": "targets", "type": "attr", "value": {"type": "array", "value": [
            {"type": "object", "value": target},
        ]}},
        {"name": "target_match_label", "type": "attr", "value": text("pod")},
        {"name": "forward_to", "type": "attr", "value": {"type": "array", "value": [
            {"type": "capsule", "value": "sink.receiver"},
        ]}},
    ]);
    assert_eq!(alloy_syntax::json::body(&arguments.encode_body()), wanted);
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let bench = Bench::new();
    let good = targets(&json!([]));
    for (attribute, value) in [
        ("profiles_match_label", json!("a\nb")),
        ("labels_to_copy", json!(["a", "b\n"])),
        ("target_match_label", json!("a\n")),
    ] {
        let without = good.lines().filter(|line| !line.starts_with(attribute)).collect::<Vec<_>>().join("\n");
        let error = bench.arguments(&format!("{without}\n{attribute} = {value}")).unwrap_err();
        assert!(error.contains("is no label's name: remove the line break"), "{attribute}: {error}");
    }
    let error = bench.arguments(&targets(&json!([{ "pod": ["a"] }]))).unwrap_err();
    assert!(error.contains("should be string, got array"), "{error}");
}
