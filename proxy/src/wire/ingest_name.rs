//! The `name` parameter of `/ingest`: `service{key=value,key=value}`.
//!
//! A value runs to the next `,` or `}` and nothing can be escaped. What follows the closing brace is ignored, an
//! unclosed pair is lost, of equal keys the last one counts.

use profiler_core::labels::{LabelError, Labels, LabelsBuilder, NAME, SERVICE_NAME};

use super::service_name;

/// Why a `name` is none.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing before the braces.
    #[error("service name is required")]
    NoService,
    /// A character that no service name has.
    #[error("invalid service name: {name}: character is not allowed: '{character}'")]
    Service {
        /// The name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// A value without a key.
    #[error("label name is required")]
    NoKey,
    /// A character that no key has.
    #[error("invalid label name: {name}: character is not allowed: '{character}'")]
    Key {
        /// The key.
        name: String,
        /// The first such character.
        character: char,
    },
    /// Labels that are too large.
    #[error(transparent)]
    Labels(#[from] LabelError),
}

/// The labels of a `name`, with `service_name` or `app_name` set by the reference's rule.
pub fn parse(name: &str) -> Result<Labels, NameError> {
    let mut labels = LabelsBuilder::default();
    let mut service_given = false;
    for (key, value) in pairs(name)? {
        service_given |= key == SERVICE_NAME;
        labels.set(key, value);
    }
    service_name::apply(&mut labels, service_given);
    Ok(labels.build()?)
}

/// As [`parse`], for bytes from the network.
pub fn parse_bytes(name: &[u8]) -> Result<Labels, NameError> {
    let invalid =
        |_| LabelError::InvalidValue { name: "name".to_owned(), value: String::from_utf8_lossy(name).into_owned() };
    parse(str::from_utf8(name).map_err(invalid)?)
}

/// What ends a value, or begins the labels: it can stand in none.
const UNWRITABLE: [char; 3] = [',', '{', '}'];

/// Whether a `name` can say these labels as they are.
pub fn is_exact(labels: &Labels) -> bool {
    labels.iter().all(|(_, value)| !value.contains(UNWRITABLE))
}

/// The `name` of a series; labels are sorted and `__name__` stands before the braces. What cannot stand in a value becomes `_`.
pub fn write(labels: &Labels) -> String {
    let mut name = String::with_capacity(labels.byte_len() + 2 * labels.len() + 2);
    push_value(&mut name, labels.value(NAME).unwrap_or_default());
    name.push('{');
    let mut separator = "";
    for (key, value) in labels.iter().filter(|(key, _)| *key != NAME) {
        for part in [separator, key, "="] {
            name.push_str(part);
        }
        push_value(&mut name, value);
        separator = ",";
    }
    name.push('}');
    name
}

fn push_value(name: &mut String, value: &str) {
    for (place, writable) in value.split(UNWRITABLE).enumerate() {
        if place > 0 {
            name.push('_');
        }
        name.push_str(writable);
    }
}

/// Keys and values in order, `__name__` first.
fn pairs(name: &str) -> Result<Vec<(&str, &str)>, NameError> {
    let (service, mut rest) = name.split_once('{').unwrap_or((name, ""));
    let service = service.trim();
    check(service, |c| matches!(c, '_' | '.' | '/' | '-')).map_err(|character| match character {
        None => NameError::NoService,
        Some(character) => NameError::Service { name: service.to_owned(), character },
    })?;
    let mut pairs = vec![(NAME, service)];
    while let Some(end) = rest.find(['=', '}']).filter(|end| rest.as_bytes().get(*end) == Some(&b'=')) {
        let (key, value) = rest.split_at(end);
        let Some((value, after)) = value.get(1..).and_then(|value| value.split_once([',', '}'])) else { break };
        let key = key.trim();
        check(key, |c| matches!(c, '_' | '.')).map_err(|character| match character {
            None => NameError::NoKey,
            Some(character) => NameError::Key { name: key.to_owned(), character },
        })?;
        pairs.push((key, value.trim()));
        rest = after;
    }
    Ok(pairs)
}

/// ASCII letters, digits and what `allowed` adds. The error is the first other character, `None` for an empty name.
fn check(name: &str, allowed: impl Fn(char) -> bool) -> Result<(), Option<char>> {
    if name.is_empty() {
        return Err(None);
    }
    name.chars().find(|c| !c.is_ascii_alphanumeric() && !allowed(*c)).map_or(Ok(()), |c| Err(Some(c)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// `ingest_name.json`.
    #[test]
    fn names_read_as_the_reference_reads_them() {
        let file: Value = serde_json::from_str(include_str!("../../../tests/conformance/ingest_name.json")).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert_eq!(cases.len() as u64, file["count"].as_u64().unwrap());
        for case in cases {
            let name = case["name"].as_str().unwrap();
            if let Some(expected) = case["parse_error"].as_str() {
                assert_eq!(parse(name).unwrap_err().to_string(), expected, "{case}");
                continue;
            }
            if name.is_empty() {
                // No name at all: there is nothing to parse, and the labels stay empty.
                assert_eq!(parse(name).unwrap_err(), NameError::NoService);
                continue;
            }
            let forwarded: std::collections::BTreeMap<String, String> =
                serde_json::from_value(case["labels_forwarded"].clone()).unwrap();
            assert_eq!(parse(name).unwrap(), Labels::from_pairs(forwarded).unwrap(), "{case}");
            let parsed = Labels::from_pairs(pairs_kept(name)).unwrap();
            assert_eq!(write(&parsed), case["normalized"].as_str().unwrap(), "{case}");
        }
    }

    /// The pairs of a name, the last of equal keys, empty values kept.
    fn pairs_kept(name: &str) -> std::collections::BTreeMap<&str, &str> {
        pairs(name).unwrap().into_iter().collect()
    }
}
