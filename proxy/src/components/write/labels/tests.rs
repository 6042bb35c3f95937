//! `write_label_validation.json`, `write_push_labels.json`, `write_ingest_name.json`.

use base64::Engine as _;
use serde_json::Value;

use super::*;
use crate::wire::ingest;

fn cases(text: &str) -> Vec<Value> {
    let file: Value = serde_json::from_str(text).unwrap();
    let cases = file["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len() as u64, file["count"].as_u64().unwrap());
    cases
}

/// A value as text, or as base64 of what is no text.
fn bytes(value: &Value) -> Vec<u8> {
    match value["base64"].as_str() {
        Some(encoded) => base64::engine::general_purpose::STANDARD.decode(encoded).unwrap(),
        None => value["value"].as_str().or(value.as_str()).unwrap().as_bytes().to_vec(),
    }
}

fn checked(pairs: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Labels, InvalidLabels> {
    let labels = Labels::from_pairs(pairs)?;
    validate(&labels).map(|()| labels)
}

fn external(case: &Value) -> BTreeMap<String, String> {
    serde_json::from_value(case["external_labels"].clone()).unwrap_or_default()
}

#[test]
fn label_validation() {
    for case in cases(include_str!("../../../../../tests/conformance/write_label_validation.json")) {
        let pairs = case["labels"].as_array().unwrap().iter();
        let result = checked(pairs.map(|pair| (pair[0].as_str().unwrap().to_owned(), bytes(&pair[1]))));
        match case["error"].as_str() {
            None => assert!(result.is_ok(), "{case}: {result:?}"),
            Some(expected) => {
                let error = result.unwrap_err().to_string();
                assert!(error.contains(expected), "{case}: {error}");
            }
        }
    }
}

#[test]
fn push_labels() {
    for case in cases(include_str!("../../../../../tests/conformance/write_push_labels.json")) {
        let input = case["input"].as_object().unwrap();
        let result = checked(input.iter().map(|(name, value)| (name.clone(), bytes(value))));
        match case["error"].as_str() {
            Some(expected) => assert_eq!(result.unwrap_err().to_string(), expected, "{case}"),
            None => {
                let sent = for_push(&result.unwrap(), &external(&case)).unwrap();
                let sent: Vec<_> = sent.iter().map(|(name, value)| serde_json::json!([name, value])).collect();
                assert_eq!(Value::from(sent), case["sent_labels_in_order"], "{case}");
            }
        }
    }
}

/// What `deviations.toml` says of a case of `write_ingest_name.json`.
fn deviation(place: usize) -> Option<toml::Table> {
    let all: toml::Table = include_str!("../../../../../tests/conformance/deviations.toml").parse().unwrap();
    let found = all["deviation"].as_array().unwrap().iter().find(|deviation| {
        deviation["file"].as_str() == Some("write_ingest_name.json")
            && deviation["id"].as_str() == Some(&place.to_string())
    })?;
    found["ours"].as_table().cloned()
}

#[test]
fn ingest_names() {
    let cases = cases(include_str!("../../../../../tests/conformance/write_ingest_name.json"));
    for (place, mut case) in cases.into_iter().enumerate() {
        if let Some(ours) = deviation(place) {
            for (name, value) in ours {
                case[name] = value.as_str().unwrap().into();
            }
        }
        let labels: BTreeMap<String, String> = serde_json::from_value(case["labels"].clone()).unwrap();
        let sent = for_ingest(&Labels::from_pairs(labels).unwrap(), &external(&case)).unwrap();
        assert_eq!(crate::wire::ingest_name::write(&sent), case["name_out"].as_str().unwrap(), "{case}");
        let query = ingest::query(case["query_in"].as_str().unwrap(), &ingest::escaped_name(&sent));
        assert_eq!(query, case["query_out"].as_str().unwrap(), "{case}");
    }
}
