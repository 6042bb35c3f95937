//! What edits do, on one small profile; `twin` compares many with a naive reckoning.

use bytes::Bytes;
use prost::Message;

use super::*;
use crate::pprof::{Function, Line, Location, Mapping, ValueType};

mod twin;

const LIMIT: usize = 1 << 20;

const STRINGS: [&str; 16] = [
    "",
    "cpu",
    "nanoseconds",
    "samples",
    "count",
    "main",
    "secret",
    "secret.mangled",
    "vault.rs",
    "user",
    "alice",
    "bytes",
    "program",
    "a comment",
    "^drop$",
    "https://profiles.example",
];

/// Two sample types, two functions, of which the second is `secret`, and three samples.
fn profile() -> Profile {
    let location = |id, mapping_id| Location {
        id,
        mapping_id,
        line: vec![Line { function_id: id, ..Line::default() }],
        ..Location::default()
    };
    let alice = Label { key: 9, str: 10, ..Label::default() };
    let size = Label { key: 11, num: 64, num_unit: 11, ..Label::default() };
    let sample = |location_id: &[u64], value: [i64; 2], label: &[Label]| Sample {
        location_id: location_id.to_vec(),
        value: value.to_vec(),
        label: label.to_vec(),
    };
    Profile {
        sample_type: vec![ValueType { kind: 1, unit: 2 }, ValueType { kind: 3, unit: 4 }],
        sample: vec![
            sample(&[20, 10], [1, 10], &[alice, size]),
            sample(&[20, 10], [2, 20], &[size]),
            sample(&[10], [3, 30], &[]),
        ],
        mapping: vec![
            Mapping { id: 1, filename: 12, ..Mapping::default() },
            Mapping { id: 2, filename: 8, ..Mapping::default() },
        ],
        location: vec![location(10, 1), location(20, 2)],
        function: vec![
            Function { id: 10, name: 5, system_name: 5, ..Function::default() },
            Function { id: 20, name: 6, system_name: 7, filename: 8, ..Function::default() },
        ],
        string_table: STRINGS.map(String::from).to_vec(),
        comment: vec![13],
        drop_frames: 14,
        default_sample_type: 3,
        period_type: Some(ValueType { kind: 1, unit: 2 }),
        period: 7,
        time_nanos: 8,
        duration_nanos: 9,
        doc_url: 15,
        ..Profile::default()
    }
}

fn open(profile: &Profile) -> Editing {
    Editing::open(&profile.encode_to_vec().into(), LIMIT).unwrap()
}

fn decode(edited: Edited) -> Profile {
    let Edited::Changed(bytes) = edited else { panic!("{edited:?}") };
    Profile::from_bytes(&bytes, LIMIT).unwrap()
}

/// The profile after these changes of the small one.
fn changed(change: impl FnOnce(&mut Changes) -> Result<(), ChangeError>) -> Profile {
    let mut editing = open(&profile());
    change(editing.changes()).unwrap();
    decode(editing.finish().unwrap())
}

fn has(profile: &Profile, text: &str) -> bool {
    profile.string_table.iter().any(|string| string == text)
}

fn shown(profile: &Profile, sample: &Sample) -> Vec<String> {
    let shown = labels(profile, &sample.label).map(|SampleLabel { key, value }| match value {
        LabelValue::Text(text) => format!("{key}={text}"),
        LabelValue::Number(number, unit) => format!("{key}={number} {unit}"),
    });
    shown.collect()
}

#[test]
fn without_a_change_nothing_is_written() {
    assert_eq!(open(&profile()).finish().unwrap(), Edited::Unchanged);

    let mut editing = open(&profile());
    let (original, changes) = editing.parts();
    changes.rename_function(0, "other", Some("other.rs")).unwrap();
    changes.rename_function(0, "main", Some("")).unwrap();
    for (place, sample) in original.profile().sample.iter().enumerate() {
        changes.set_sample_labels(place, original.labels(sample)).unwrap();
    }
    assert_eq!(editing.finish().unwrap(), Edited::Unchanged, "the last change counts, and is none");
}

#[test]
fn a_renamed_function_leaves_no_trace() {
    let profile = changed(|changes| changes.rename_function(1, "redacted", Some("")));
    let Function { name, system_name, filename, .. } = profile.function[1];
    assert_eq!([name, system_name, filename].map(|text| profile.string(text)), ["redacted", "redacted", ""]);
    assert!(!has(&profile, "secret") && !has(&profile, "secret.mangled"));
    assert!(has(&profile, "vault.rs"), "the mapping of this name still stands");
    assert_eq!(profile.sample.len(), 3);
}

#[test]
fn a_name_alone_leaves_the_file() {
    let profile = changed(|changes| changes.rename_function(1, "redacted", None));
    assert_eq!(profile.string(profile.function[1].filename), "vault.rs");
}

#[test]
fn what_dropped_samples_referred_to_goes_with_them() {
    let profile = changed(|changes| changes.drop_samples([1, 0]));
    assert_eq!(profile.sample.len(), 1);
    assert_eq!(profile.location.iter().map(|location| location.id).collect::<Vec<_>>(), [10]);
    assert_eq!(profile.function.iter().map(|function| function.id).collect::<Vec<_>>(), [10]);
    assert_eq!(profile.mapping.len(), 1);
    for gone in ["secret", "secret.mangled", "vault.rs", "user", "alice"] {
        assert!(!has(&profile, gone), "{gone}");
    }
}

#[test]
fn all_else_stays() {
    let (before, after) = (profile(), changed(|changes| changes.drop_samples([2])));
    let texts = |profile: &Profile| {
        let period = profile.period_type.unwrap();
        let texts = [profile.drop_frames, profile.default_sample_type, profile.doc_url, period.kind, period.unit];
        let all = texts.into_iter().chain(profile.comment.iter().copied());
        all.map(|text| profile.string(text).to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(texts(&after), texts(&before));
    let numbers = |profile: &Profile| [profile.period, profile.time_nanos, profile.duration_nanos];
    assert_eq!(numbers(&after), numbers(&before));
}

#[test]
fn samples_that_become_equal_are_merged() {
    let size = SampleLabel { key: "bytes", value: LabelValue::Number(64, "bytes") };
    let profile = changed(|changes| changes.set_sample_labels(0, [size]));
    assert_eq!(profile.sample.len(), 2);
    assert_eq!(profile.sample[0].value, [3, 30]);
    assert_eq!(shown(&profile, &profile.sample[0]), ["bytes=64 bytes"]);
    assert!(!has(&profile, "alice"));
}

#[test]
fn the_order_of_labels_says_nothing_but_their_number_does() {
    let label = |key, text| SampleLabel { key, value: LabelValue::Text(text) };
    let (a, b) = (label("k", "a"), label("k", "b"));
    let stacks_of_one = |first: &[SampleLabel<'_>], second: &[SampleLabel<'_>]| {
        let profile = changed(|changes| {
            changes.set_sample_labels(0, first.iter().copied())?;
            changes.set_sample_labels(1, second.iter().copied())
        });
        profile.sample.len() == 2
    };
    assert!(stacks_of_one(&[a, b], &[b, a]));
    assert!(!stacks_of_one(&[a, a], &[a]));
    assert!(stacks_of_one(&[a, label("empty", "")], &[a]));
}

#[test]
fn sums_end_at_the_largest_number() {
    let mut overflowing = profile();
    for sample in &mut overflowing.sample {
        sample.value = vec![i64::MAX, i64::MIN];
    }
    let mut editing = open(&overflowing);
    for place in [0, 1] {
        editing.changes().set_sample_labels(place, []).unwrap();
    }
    assert_eq!(decode(editing.finish().unwrap()).sample[0].value, [i64::MAX, i64::MIN]);
}

#[test]
fn a_sample_type_goes_with_its_values_and_its_rank() {
    let profile = changed(|changes| changes.drop_sample_types([1]));
    assert_eq!(profile.sample_type.len(), 1);
    assert_eq!(profile.sample.iter().flat_map(|sample| sample.value.clone()).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(profile.default_sample_type, 0);
    let kept = changed(|changes| changes.drop_sample_types([0]));
    assert_eq!(kept.string(kept.default_sample_type), "samples");
}

#[test]
fn without_samples_or_types_it_is_empty() {
    let mut editing = open(&profile());
    editing.changes().drop_samples(0..3).unwrap();
    assert_eq!(editing.finish().unwrap(), Edited::Empty);
    let mut editing = open(&profile());
    editing.changes().drop_sample_types(0..2).unwrap();
    assert_eq!(editing.finish().unwrap(), Edited::Empty);
}

#[test]
fn what_came_gzipped_goes_gzipped() {
    let zipped = Bytes::from(gzip(&profile().encode_to_vec()).unwrap());
    let mut editing = Editing::open(&zipped, LIMIT).unwrap();
    editing.changes().drop_samples([0]).unwrap();
    let Edited::Changed(bytes) = editing.finish().unwrap() else { panic!() };
    assert!(is_gzip(&bytes));
    assert_eq!(Profile::from_bytes(&bytes, LIMIT).unwrap(), changed(|changes| changes.drop_samples([0])));
}

#[test]
fn places_that_are_not_there_are_refused() {
    let mut editing = open(&profile());
    let changes = editing.changes();
    let refused = |kind, place, count| Err(ChangeError::NoSuchPlace { kind, place, count });
    assert_eq!(changes.drop_samples([0, 3]), refused("sample", 3, 3));
    assert_eq!(changes.set_sample_labels(3, []), refused("sample", 3, 3));
    assert_eq!(changes.rename_function(2, "x", None), refused("function", 2, 2));
    assert_eq!(changes.drop_sample_types([usize::MAX]), refused("sample type", usize::MAX, 2));
}

#[test]
fn texts_of_changes_are_bounded() {
    let mut editing = Editing::open(&profile().encode_to_vec().into(), 1000).unwrap();
    let long = "x".repeat(600);
    editing.changes().rename_function(0, &long, None).unwrap();
    editing.changes().rename_function(1, &long, None).unwrap();
    let refused = editing.changes().rename_function(0, &"y".repeat(600), None);
    assert_eq!(refused, Err(ChangeError::TooLarge(1000)));
}

#[test]
fn a_first_string_that_is_not_empty_is_one_of_its_own() {
    let mut odd = profile();
    odd.string_table = vec!["main".into(), "cpu".into()];
    odd.function[0].name = 0;
    let editing = open(&odd);
    let profile = editing.original().profile();
    assert_eq!(profile.function_names().next(), Some("main"));
    assert_eq!(profile.string(0), "");
}
