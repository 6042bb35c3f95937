//! `sample_rule`: what becomes of samples, from `samples.json`, where a line is `stack value name=text name#number`.

use std::collections::HashMap;

use bytes::Bytes;
use http::HeaderValue;
use profiler_core::pprof::{self as proto, Label, Line, Location, Sample, ValueType};
use prost::Message;
use serde::Deserialize;

use super::*;
use crate::pipeline::{Budget, IngestBody, RawSample};
use crate::telemetry::metrics::SkippedKind;

#[derive(Deserialize)]
struct Case {
    id: String,
    rules: Json,
    samples: Vec<String>,
    expected: Expected,
    #[serde(default)]
    dropped: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expected {
    Samples(Vec<String>),
    /// `empty` or `unchanged`.
    Word(String),
}

#[tokio::test]
async fn samples_become_what_the_rules_say() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("samples.json")).unwrap();
    let mut actions: Vec<String> = Vec::new();
    for case in cases {
        let named = case.rules.as_array().unwrap().iter();
        actions.extend(named.map(|rule| rule["action"].as_str().unwrap_or("replace").to_owned()));
        let bench = Bench::new();
        let relabel = bench.build(&with_sample_rules(&case.rules), None);
        let sent = encoded(&case.samples);
        push_bodies(&relabel, pushed(&[&sent]), Share::unbounded()).await.unwrap();

        let arrived = bench.arrived();
        match case.expected {
            Expected::Samples(mut lines) => {
                lines.sort();
                assert_eq!(shown(arrived.as_ref().unwrap()), lines, "{}", case.id);
            }
            Expected::Word(word) if word == "empty" => assert_eq!(arrived, None, "{}", case.id),
            Expected::Word(_) => assert_eq!(arrived.as_ref(), Some(&sent), "{}", case.id),
        }
        let metrics = &relabel.stage.samples.as_ref().unwrap().metrics;
        assert_eq!(metrics.samples_dropped.count(), case.dropped, "{}", case.id);
    }
    actions.sort();
    actions.dedup();
    assert_eq!(actions.len(), 11, "{actions:?}");
}

#[tokio::test]
async fn each_set_is_judged_once() {
    let bench = Bench::new();
    let relabel = bench.build(&with_sample_rules(&drop_users()), None);
    let lines: Vec<String> = (0..1000).map(|index| format!("f{index} 1 user=u{} bytes#{index}", index % 7)).collect();
    push_bodies(&relabel, pushed(&[&encoded(&lines)]), Share::unbounded()).await.unwrap();
    let filter = relabel.stage.samples.as_ref().unwrap().filter.metrics();
    assert_eq!((filter.calls.count(), filter.cache_misses.count()), (7, 7));
}

#[tokio::test]
async fn large_profiles_are_relabelled_elsewhere_all_the_same() {
    let bench = Bench::new();
    let relabel = bench.build(&with_sample_rules(&drop_users()), None);
    let lines: Vec<String> = (0..20_000).map(|index| format!("function_{index};main 1 user=alice")).collect();
    let sent = encoded(&lines);
    assert!(sent.len() > 128 << 10);
    push_bodies(&relabel, pushed(&[&sent]), Share::unbounded()).await.unwrap();
    let arrived = shown(&bench.arrived().unwrap());
    assert_eq!(arrived.len(), lines.len());
    assert!(arrived.iter().all(|line| !line.contains("alice")));
}

#[tokio::test]
async fn a_series_without_samples_is_dropped_and_counted() {
    let bench = Bench::new();
    let relabel = bench.build(&with_sample_rules(&serde_json::json!([{ "action": "drop" }])), None);
    let sent = encoded(&["main 1".into()]);
    push_bodies(&relabel, pushed(&[&sent, &sent]), Share::unbounded()).await.unwrap();
    assert_eq!(bench.arrived(), None);
    assert_eq!(relabel.stage.metrics.dropped.count(), 1, "one series, of two profiles");
    let metrics = bench.services.metrics.text().unwrap();
    let counted = |line: &&str| line.contains(r#"reason="no samples""#) && line.ends_with(" 2");
    assert_eq!(metrics.lines().filter(counted).count(), 1, "{metrics}");
}

#[tokio::test]
async fn what_cannot_be_opened_goes_on_as_it_is_and_is_counted() {
    let bench = Bench::new();
    let relabel = bench.build(&with_sample_rules(&drop_users()), None);
    let skipped = |kind| relabel.stage.samples.as_ref().unwrap().metrics.skipped(kind).count();
    let garbage = Bytes::from_static(b"\x0a\xff no pprof");
    push_bodies(&relabel, pushed(&[&garbage]), Share::unbounded()).await.unwrap();
    assert_eq!(bench.arrived().as_ref(), Some(&garbage));
    assert_eq!(skipped(SkippedKind::Damaged), 1);

    push_bodies(&relabel, pushed(&[&Bytes::from_static(b"\x1f\x8b")]), Share::unbounded()).await.unwrap();
    assert_eq!(skipped(SkippedKind::Damaged), 2);

    let body = |query: &str, content_type: &'static str| {
        let content_types = vec![HeaderValue::from_static(content_type)];
        Body::Ingest(Arc::new(IngestBody { query: query.into(), content_types, bytes: garbage.clone() }))
    };
    push_bodies(&relabel, body("name=a&format=lines", "text/plain"), Share::unbounded()).await.unwrap();
    assert_eq!((skipped(SkippedKind::Format), skipped(SkippedKind::Damaged)), (1, 2));
    push_bodies(&relabel, body("name=a", "multipart/form-data; boundary=b"), Share::unbounded()).await.unwrap();
    assert_eq!((skipped(SkippedKind::Format), skipped(SkippedKind::Damaged)), (1, 3));
    push_bodies(&relabel, body("name=a&format=jfr", ""), Share::unbounded()).await.unwrap();
    assert_eq!((skipped(SkippedKind::Format), skipped(SkippedKind::Damaged)), (1, 3), "it has no labels to rule");
    assert_eq!(bench.sink.profiles().len(), 5);
}

#[tokio::test]
async fn memory_is_paid_for_and_where_there_is_none_the_sender_may_come_again() {
    let bench = Bench::new();
    let relabel = bench.build(&with_sample_rules(&drop_users()), None);
    let sent = encoded(&["main 1 user=alice".into()]);
    let budget = Budget::new(1 << 20);
    let others = budget.take((1 << 20) - sent.len() - 10).unwrap();
    let refused = push_bodies(&relabel, pushed(&[&sent]), budget.take(sent.len()).unwrap()).await.unwrap_err();
    assert_eq!((refused.status.as_u16(), refused.retry), (503, crate::pipeline::Retry::Later(None)));

    drop(others);
    push_bodies(&relabel, pushed(&[&sent]), budget.take(sent.len()).unwrap()).await.unwrap();
    assert_eq!(shown(&bench.arrived().unwrap()), ["main 1"]);
    assert_eq!(budget.used(), sent.len(), "the sink holds the profile, and nothing else holds memory");

    // Coming again would not help.
    let budget = Budget::new(sent.len() + 10);
    push_bodies(&relabel, pushed(&[&sent]), budget.take(sent.len()).unwrap()).await.unwrap();
    assert_eq!(bench.arrived().as_ref(), Some(&sent));
    let metrics = &relabel.stage.samples.as_ref().unwrap().metrics;
    assert_eq!(metrics.skipped(SkippedKind::TooLarge).count(), 1);
}

#[tokio::test]
async fn without_sample_rules_no_profile_is_opened() {
    let bench = Bench::new();
    let relabel = bench.build(&block(&serde_json::json!([]), 10), None);
    assert!(relabel.stage.samples.is_none());
    assert!(!bench.services.metrics.text().unwrap().contains("sample_rule"));
}

#[tokio::test]
async fn a_reload_keeps_the_verdicts_of_the_same_sample_rules() {
    let bench = Bench::new();
    let first = bench.build(&with_sample_rules(&drop_users()), None);
    let kept = bench.build(&with_sample_rules(&drop_users()), Some(&first));
    let (first, kept) = (first.stage.samples.clone().unwrap(), kept.stage.samples.clone().unwrap());
    assert!(Arc::ptr_eq(&first, &kept));
}

#[test]
fn a_bad_sample_rule_is_refused_at_its_place() {
    let file = "relabel \"x\" {\n\tforward_to = []\n\tsample_rule {\n\t\tregex = \"(\"\n\t}\n}\n";
    let file = parse_file("test.alloy", file).unwrap();
    let block: &ast::Block = file.body.blocks().next().unwrap();
    let refused = decode_block::<RelabelArguments>(block, &Scope::stdlib(&StdlibOptions::default())).unwrap_err();
    assert!(refused.to_string().contains("4:"), "{refused}");
}

pub(super) fn drop_users() -> Json {
    serde_json::json!([{ "regex": "user", "action": "labeldrop" }])
}

pub(super) fn with_sample_rules(rules: &Json) -> String {
    format!("relabel \"x\" {{\n\tforward_to = [sink]\n{}}}\n", blocks("sample_rule", rules))
}

fn pushed(profiles: &[&Bytes]) -> Body {
    Body::Pprof(profiles.iter().map(|profile| RawSample { id: Bytes::new(), profile: (*profile).clone() }).collect())
}

pub(super) async fn push_bodies(
    relabel: &Relabel,
    body: Body,
    memory: Share,
) -> Result<(), crate::pipeline::PushError> {
    let labels = Labels::from_pairs([("service_name", "shop")]).unwrap();
    let outcome = relabel.stage.push(Batch { profiles: vec![profile(labels, body, memory)] }).await;
    outcome.worst().cloned().map_or(Ok(()), Err)
}

impl Bench {
    /// The first pprof of the profile that came last.
    fn arrived(&self) -> Option<Bytes> {
        match &self.sink.profiles().last()?.body {
            Body::Pprof(samples) => Some(samples[0].profile.clone()),
            Body::Ingest(body) => Some(body.bytes.clone()),
        }
    }
}

/// A pprof of these lines.
fn encoded(lines: &[String]) -> Bytes {
    let mut texts = Texts::default();
    let mut functions: HashMap<&str, u64> = HashMap::new();
    let mut profile = proto::Profile { sample_type: vec![ValueType::default()], ..proto::Profile::default() };
    for line in lines {
        let mut words = line.split(' ');
        let (stack, value) = (words.next().unwrap(), words.next().unwrap());
        let stack = stack.split(';').map(|name| {
            let next = functions.len() as u64 + 1;
            *functions.entry(name).or_insert_with(|| {
                let function = proto::Function { id: next, name: texts.index(name), ..proto::Function::default() };
                profile.function.push(function);
                let line = vec![Line { function_id: next, ..Line::default() }];
                profile.location.push(Location { id: next, line, ..Location::default() });
                next
            })
        });
        let location_id = stack.collect();
        let label = words.map(|label| match label.split_once('=') {
            Some((key, text)) => Label { key: texts.index(key), str: texts.index(text), ..Label::default() },
            None => {
                let (key, number) = label.split_once('#').unwrap();
                Label { key: texts.index(key), num: number.parse().unwrap(), ..Label::default() }
            }
        });
        let label = label.collect();
        profile.sample.push(Sample { location_id, value: vec![value.parse().unwrap()], label });
    }
    profile.sample_type[0].kind = texts.index("cpu");
    profile.string_table = std::iter::once(String::new()).chain(texts.0).collect();
    profile.encode_to_vec().into()
}

/// The lines of a pprof, in order.
pub(super) fn shown(bytes: &Bytes) -> Vec<String> {
    let profile = proto::Profile::from_bytes(bytes, 64 << 20).unwrap();
    let line = |sample: &Sample| {
        let name = |id: &u64| {
            let location = profile.location.iter().find(|location| location.id == *id).unwrap();
            let function = profile.function.iter().find(|function| function.id == location.line[0].function_id);
            profile.string(function.unwrap().name)
        };
        let stack: Vec<&str> = sample.location_id.iter().map(name).collect();
        let mut labels: Vec<String> = sample
            .label
            .iter()
            .map(|label| {
                let key = profile.string(label.key);
                if label.str == 0 {
                    format!(" {key}#{}", label.num)
                } else {
                    format!(" {key}={}", profile.string(label.str))
                }
            })
            .collect();
        labels.sort();
        format!("{} {}{}", stack.join(";"), sample.value[0], labels.concat())
    };
    let mut lines: Vec<String> = profile.sample.iter().map(line).collect();
    lines.sort();
    lines
}

/// The texts of a table, behind the empty one.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn index(&mut self, text: &str) -> i64 {
        let known = self.0.iter().position(|known| known == text);
        let index = known.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        });
        index as i64 + 1
    }
}
