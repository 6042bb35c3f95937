//! Random profiles under random changes, against a reckoning sample by sample that knows no ids, tables or merging.

use std::collections::{BTreeMap, HashSet};

use super::*;

const PROFILES: u64 = 3000;

/// What a profile says: for each stack of function names, with the labels in order of their text, the sum of values.
type Said = BTreeMap<(Vec<String>, Vec<String>), Vec<i64>>;

/// What is to be changed, as the twin knows it.
#[derive(Debug, Default)]
struct Wanted {
    dropped: HashSet<usize>,
    dropped_types: HashSet<usize>,
    names: BTreeMap<usize, String>,
    labels: BTreeMap<usize, Vec<(String, Value)>>,
}

#[derive(Debug, Clone)]
enum Value {
    Text(String),
    Number(i64, String),
}

#[test]
fn edits_say_what_the_twin_says() {
    let mut changed = 0;
    for seed in 1..=PROFILES {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let profile = random.profile();
        let mut editing = open(&profile);
        let wanted = random.changes(editing.original().profile());
        hand_over(&wanted, editing.changes());
        let expected = said(&editing.original, &wanted);

        match editing.finish().unwrap() {
            Edited::Unchanged => {
                let reopened = open(&profile);
                assert_eq!(said(&reopened.original, &Wanted::default()), expected, "seed {seed}");
            }
            Edited::Empty => {
                let types = profile.sample_type.len() - wanted.dropped_types.len();
                assert!(wanted.dropped.len() == profile.sample.len() || types == 0, "seed {seed}");
            }
            Edited::Changed(bytes) => {
                changed += 1;
                let after = Editing::open(&bytes, LIMIT).unwrap();
                assert_eq!(said(&after.original, &Wanted::default()), expected, "seed {seed}");
                check_tables(&after.original, seed);
            }
        }
    }
    assert!(changed > PROFILES / 2, "{changed} of {PROFILES} profiles were changed");
}

/// Texts stand once, and all that stands in a table is referred to.
fn check_tables(original: &Original, seed: u64) {
    let profile = &original.profile;
    let distinct: HashSet<&String> = profile.string_table.iter().collect();
    assert_eq!(distinct.len(), profile.string_table.len(), "seed {seed}");

    let used: HashSet<u64> = profile.sample.iter().flat_map(|sample| sample.location_id.clone()).collect();
    assert!(profile.location.iter().all(|location| used.contains(&location.id)), "seed {seed}");
    let lines = profile.location.iter().flat_map(|location| &location.line);
    let used: HashSet<u64> = lines.map(|line| line.function_id).collect();
    assert!(profile.function.iter().all(|function| used.contains(&function.id)), "seed {seed}");

    let functions =
        profile.function.iter().flat_map(|function| [function.name, function.system_name, function.filename]);
    let labels = profile.sample.iter().flat_map(|sample| &sample.label);
    let labels = labels.flat_map(|label| [label.key, label.str, label.num_unit]);
    let types = profile.sample_type.iter().flat_map(|kind| [kind.kind, kind.unit]);
    let used: HashSet<i64> = functions.chain(labels).chain(types).chain([0]).collect();
    for (text, index) in profile.string_table.iter().zip(0..) {
        assert!(used.contains(&index), "seed {seed}: nothing refers to {text:?}");
    }
}

fn hand_over(wanted: &Wanted, changes: &mut Changes) {
    changes.drop_samples(wanted.dropped.iter().copied()).unwrap();
    changes.drop_sample_types(wanted.dropped_types.iter().copied()).unwrap();
    for (place, name) in &wanted.names {
        changes.rename_function(*place, name, None).unwrap();
    }
    for (place, labels) in &wanted.labels {
        let labels = labels.iter().map(|(key, value)| SampleLabel {
            key,
            value: match value {
                Value::Text(text) => LabelValue::Text(text),
                Value::Number(number, unit) => LabelValue::Number(*number, unit),
            },
        });
        changes.set_sample_labels(*place, labels).unwrap();
    }
}

fn said(original: &Original, wanted: &Wanted) -> Said {
    let profile = &original.profile;
    let mut said = Said::new();
    for (place, sample) in profile.sample.iter().enumerate() {
        if wanted.dropped.contains(&place) {
            continue;
        }
        let stack = sample.location_id.iter().flat_map(|id| frames(original, *id, wanted)).collect();
        let mut labels: Vec<String> = match wanted.labels.get(&place) {
            Some(labels) => labels.iter().filter_map(|(key, value)| shown(key, value)).collect(),
            None => original
                .labels(sample)
                .filter_map(|SampleLabel { key, value }| {
                    let value = match value {
                        LabelValue::Text(text) => Value::Text(text.into()),
                        LabelValue::Number(number, unit) => Value::Number(number, unit.into()),
                    };
                    shown(key, &value)
                })
                .collect(),
        };
        labels.sort();
        let values = sample.value.iter().enumerate().filter(|(place, _)| !wanted.dropped_types.contains(place));
        let sums = said.entry((stack, labels)).or_default();
        for (place, (_, value)) in values.enumerate() {
            sums.resize(sums.len().max(place + 1), 0);
            sums[place] += value;
        }
    }
    said
}

fn shown(key: &str, value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if text.is_empty() => None,
        Value::Text(text) => Some(format!("{key}={text:?}")),
        Value::Number(number, unit) => Some(format!("{key}={number} {unit}")),
    }
}

fn frames(original: &Original, id: u64, wanted: &Wanted) -> Vec<String> {
    let Some(location) = original.location(id) else { return vec![format!("nowhere {id}")] };
    let lines = &original.profile.location[location].line;
    let named = lines.iter().map(|line| match original.function(line.function_id) {
        None => "nobody".to_owned(),
        Some(place) => match wanted.names.get(&place) {
            Some(name) => name.clone(),
            None => original.profile.string(original.profile.function[place].name).to_owned(),
        },
    });
    named.collect()
}

/// xorshift64: the same profiles in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end.max(1)
    }

    fn index(&mut self, end: usize) -> usize {
        self.below(end as u64) as usize
    }

    /// Few texts, so that samples become equal often; now and then one outside of the table.
    fn text(&mut self) -> i64 {
        self.below(11) as i64 - 1
    }

    fn profile(&mut self) -> Profile {
        let texts = ["", "a", "b", "c", "a", "d", "", "e", "f"];
        // Every third profile counts its ids from 1; of the others some ids stand twice, or in no table.
        let step = if self.below(3) == 0 { 1 } else { 0 };
        let mut next = 0;
        let mut id = |random: &mut Self| {
            next += 1;
            if step == 1 { next } else { random.below(6) }
        };
        let location = (0..4).map(|_| Location {
            id: id(self),
            line: (0..self.below(3)).map(|_| Line { function_id: self.below(6), ..Line::default() }).collect(),
            mapping_id: self.below(3),
            ..Location::default()
        });
        let location = location.collect();
        let function = (0..4).map(|place| Function {
            id: if step == 1 { place + 1 } else { self.below(6) },
            name: self.text(),
            system_name: self.text(),
            filename: self.text(),
            start_line: 0,
        });
        let function = function.collect();
        let sample = (0..self.below(12)).map(|_| Sample {
            location_id: (0..self.below(3)).map(|_| self.below(6)).collect(),
            value: vec![self.below(100) as i64, self.below(100) as i64],
            label: (0..self.below(3)).map(|_| self.label()).collect(),
        });
        Profile {
            sample: sample.collect(),
            sample_type: vec![ValueType { kind: self.text(), unit: self.text() }, ValueType { kind: 1, unit: 2 }],
            mapping: vec![Mapping { id: 1, ..Mapping::default() }, Mapping { id: 2, ..Mapping::default() }],
            string_table: texts.map(String::from).to_vec(),
            location,
            function,
            ..Profile::default()
        }
    }

    fn label(&mut self) -> Label {
        let key = self.text();
        match self.below(2) {
            0 => Label { key, str: self.text(), ..Label::default() },
            _ => Label { key, num: self.below(2) as i64, num_unit: self.text(), ..Label::default() },
        }
    }

    fn changes(&mut self, profile: &Profile) -> Wanted {
        let mut wanted = Wanted::default();
        let samples = profile.sample.len();
        let texts = ["", "a", "b", "new"];
        if samples > 0 && self.below(2) == 0 {
            wanted.dropped.extend((0..self.below(3)).map(|_| self.index(samples)));
        }
        if self.below(4) == 0 {
            wanted.dropped_types.insert(self.index(2));
        }
        for _ in 0..self.below(3) {
            let name = texts[self.index(texts.len())].to_owned();
            wanted.names.insert(self.index(profile.function.len()), name);
        }
        for place in 0..samples {
            if self.below(3) == 0 {
                continue;
            }
            let labels = (0..self.below(3)).map(|_| {
                let key = texts[self.index(texts.len())].to_owned();
                let text = texts[self.index(texts.len())].to_owned();
                (key, if self.below(2) == 0 { Value::Text(text) } else { Value::Number(7, text) })
            });
            wanted.labels.insert(place, labels.collect());
        }
        wanted
    }
}
