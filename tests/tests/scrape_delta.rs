//! The conformance cases of deltas.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::collections::BTreeMap;

use bytes::Bytes;
use flamegate_tests::conformance;
use profiler_core::pprof::delta::{Cause, Delta, DeltaError, DeltaLimits, DeltaMemory, counters_of};
use profiler_core::pprof::{Function, Line, Location, Profile, Sample, ValueType};
use prost::Message;
use serde::Deserialize;
use serde_json::Value;

const LIMITS: DeltaLimits = DeltaLimits { message: 1 << 20, series: 1 << 20, total: 1 << 20 };

#[derive(Debug, Deserialize)]
struct Case {
    name: String,
    #[serde(default)]
    types: Vec<String>,
    scrapes: Vec<Scrape>,
    output: Vec<Output>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Scrape {
    Samples(Samples),
    /// `ok` or `corrupt`.
    Word(String),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Output {
    Samples(Samples),
    Word(String),
    Nothing(()),
}

/// Each stack, from the leaf to the root, and its values.
type Samples = Vec<(String, Vec<i64>)>;

#[test]
fn deltas_are_as_specified() {
    for case in conformance::cases("scrape_delta.json").unwrap() {
        let Case { name, types, scrapes, output } = Case::deserialize(&case.value).unwrap();
        assert_eq!(scrapes.len(), output.len(), "{}", case.id);
        let Some(counters) = counters_of(&name) else {
            // Passes as it is, without the label.
            assert_eq!(case.value["label"], Value::Object(serde_json::Map::new()), "{}", case.id);
            continue;
        };
        let memory = DeltaMemory::new(LIMITS);
        let mut series = memory.series(*counters);
        for (place, (scrape, output)) in scrapes.iter().zip(&output).enumerate() {
            let profile = match scrape {
                Scrape::Samples(samples) => profile(&types, samples),
                Scrape::Word(word) if word == "ok" => grown(&types, place),
                Scrape::Word(word) => Bytes::from(word.clone()),
            };
            check(series.delta(&profile, 0), output, &format!("{}, profile {place}", case.id));
        }
    }
}

fn check(delta: Result<Delta, DeltaError>, output: &Output, case: &str) {
    match (delta, output) {
        (Ok(Delta::Begins(Cause::First)), Output::Nothing(())) => {}
        (Ok(Delta::Profile(bytes)), Output::Samples(expected)) => {
            let expected: BTreeMap<_, _> = expected.iter().cloned().collect();
            assert_eq!(samples(&bytes), expected, "{case}");
        }
        (delta, Output::Word(word)) => match (delta, word.as_str()) {
            (Ok(Delta::Profile(_)), "delta") | (Err(_), "error") | (Ok(Delta::Begins(Cause::First)), "first") => {}
            (Ok(Delta::Begins(Cause::Fell)), "fell") => {}
            (Ok(Delta::Begins(Cause::Unreadable)), word) if word.contains("skipping this profile") => {}
            (delta, word) => panic!("{case}: {delta:?} is not {word:?}"),
        },
        (delta, output) => panic!("{case}: {delta:?} is not {output:?}"),
    }
}

fn grown(types: &[String], place: usize) -> Bytes {
    let types = if types.is_empty() { &["contentions/count".into(), "delay/nanoseconds".into()] } else { types };
    let count = 1 + place as i64;
    profile(types, &[("a".into(), vec![count, 10 * count])])
}

fn profile(types: &[String], samples: &[(String, Vec<i64>)]) -> Bytes {
    let mut profile = Profile { string_table: vec![String::new()], ..Profile::default() };
    for name in types {
        let (kind, unit) = name.split_once('/').unwrap();
        let place = profile.string_table.len() as i64;
        profile.string_table.extend([kind.to_owned(), unit.to_owned()]);
        profile.sample_type.push(ValueType { kind: place, unit: place + 1 });
    }
    for (stack, value) in samples {
        let mut sample = Sample { value: value.clone(), ..Sample::default() };
        for frame in stack.split(';') {
            let name = profile.string_table.iter().position(|text| text == frame).unwrap_or_else(|| {
                profile.string_table.push(frame.to_owned());
                profile.string_table.len() - 1
            }) as i64;
            let id = name.cast_unsigned();
            if profile.function.iter().all(|function| function.id != id) {
                profile.function.push(Function { id, name, ..Function::default() });
                let line = vec![Line { function_id: id, ..Line::default() }];
                profile.location.push(Location { id, line, ..Location::default() });
            }
            sample.location_id.push(id);
        }
        profile.sample.push(sample);
    }
    profile.encode_to_vec().into()
}

fn samples(bytes: &Bytes) -> BTreeMap<String, Vec<i64>> {
    assert!(bytes.starts_with(&[0x1f, 0x8b]), "not gzipped");
    let profile = Profile::from_bytes(bytes, 1 << 20).unwrap();
    let name = |id: &u64| {
        let location = profile.location.iter().find(|location| location.id == *id).unwrap();
        let function = profile.function.iter().find(|function| function.id == location.line[0].function_id).unwrap();
        profile.string(function.name).to_owned()
    };
    let stack = |sample: &Sample| sample.location_id.iter().map(name).collect::<Vec<_>>().join(";");
    profile.sample.iter().map(|sample| (stack(sample), sample.value.clone())).collect()
}
