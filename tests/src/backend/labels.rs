//! Labels: the grammar of `/ingest?name=` and the checks that a server makes on every series.

use std::collections::BTreeMap;

/// Default limits of the server.
const MAX_NAMES: usize = 30;
const MAX_NAME_BYTES: usize = 1024;
const MAX_VALUE_BYTES: usize = 2048;

const NAME: &str = "__name__";
const SERVICE_NAME: &str = "service_name";

/// Why labels were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// `name` begins with nothing before its brace.
    #[error("service name is required")]
    NoServiceName,
    /// A character that a service name may not have.
    #[error("invalid service name: {name}: character is not allowed: {character:?}")]
    ServiceName {
        /// As given.
        name: String,
        /// The first one that is not allowed.
        character: char,
    },
    /// A key of length zero.
    #[error("label name is required")]
    NoLabelName,
    /// A character that a label name may not have.
    #[error("invalid label name: {name}: character is not allowed: {character:?}")]
    LabelName {
        /// As given.
        name: String,
        /// The first one that is not allowed.
        character: char,
    },
    /// A series that the server's checks refuse.
    #[error("invalid labels {labels} with error: {what}")]
    Series {
        /// The series, in braces.
        labels: String,
        /// What is wrong.
        what: String,
    },
}

/// Reads `name{key=value,…}`: spaces around names, keys and values are trimmed, values run to `,` or `}`, the
/// last of two equal keys wins, a pair that is not terminated is lost.
///
/// # Errors
/// A missing service name, or a character that its place does not allow.
pub fn parse_name(name: &str) -> Result<BTreeMap<String, String>, LabelError> {
    let (service, mut rest) = name.split_once('{').unwrap_or((name, ""));
    let service = service.trim();
    check_service_name(service)?;
    let mut labels = BTreeMap::from([(NAME.to_owned(), service.to_owned())]);
    while let Some(key_end) = rest.find(['=', '}']) {
        let (key, after) = rest.split_at(key_end);
        if after.starts_with('}') {
            break;
        }
        let after = after.get(1..).unwrap_or_default();
        let Some(value_end) = after.find([',', '}']) else { break };
        let (value, after) = after.split_at(value_end);
        let key = key.trim();
        check_key(key)?;
        labels.insert(key.to_owned(), value.trim().to_owned());
        rest = after.get(1..).unwrap_or_default();
    }
    Ok(labels)
}

fn check_service_name(name: &str) -> Result<(), LabelError> {
    if name.is_empty() {
        return Err(LabelError::NoServiceName);
    }
    let allowed = |character: &char| is_key_character(*character) || ['-', '.', '/'].contains(character);
    match name.chars().find(|character| !allowed(character)) {
        Some(character) => Err(LabelError::ServiceName { name: name.to_owned(), character }),
        None => Ok(()),
    }
}

fn check_key(key: &str) -> Result<(), LabelError> {
    if key.is_empty() {
        return Err(LabelError::NoLabelName);
    }
    match key.chars().find(|&character| !is_key_character(character)) {
        Some(character) => Err(LabelError::LabelName { name: key.to_owned(), character }),
        None => Ok(()),
    }
}

fn is_key_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_' || character == '.'
}

/// The labels under which the server stores what came in under `name` with this metric.
#[must_use]
pub(super) fn series_of_ingest(name: &BTreeMap<String, String>, metric: &str, spy: &str) -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut series = vec![pair(NAME, metric), pair("__delta__", "false"), pair("pyroscope_spy", spy)];
    if !name.contains_key(SERVICE_NAME) {
        series.push(pair(SERVICE_NAME, name.get(NAME).map_or("", String::as_str)));
    }
    let stored = |key: &str| !key.starts_with("__") || key == "__session_id__";
    series.extend(name.iter().filter(|(key, _)| stored(key)).map(|(key, value)| pair(key, value)));
    series
}

/// Checks a series as the server does, with its default limits.
///
/// # Errors
/// No labels, too many or too long ones, no `__name__`, no `service_name`, a name that is no label name (dots
/// count as underscores), a name given twice.
pub fn check_series(series: &[(String, String)]) -> Result<(), LabelError> {
    let refuse = |what: String| {
        let pairs: Vec<_> = series.iter().map(|(name, value)| format!("{name}={value:?}")).collect();
        Err(LabelError::Series { labels: format!("{{{}}}", pairs.join(", ")), what })
    };
    if series.is_empty() {
        return refuse("at least one label pair is required per profile".to_owned());
    }
    if series.len() > MAX_NAMES {
        return refuse(format!("{} label names; limit {MAX_NAMES}", series.len()));
    }
    let filled = |wanted: &str| series.iter().any(|(name, value)| name == wanted && !value.is_empty());
    if !filled(NAME) {
        return refuse("invalid metric name".to_owned());
    }
    if !filled(SERVICE_NAME) {
        return refuse("service name is not provided".to_owned());
    }
    let mut seen = BTreeMap::new();
    for (name, value) in series {
        if name.len() > MAX_NAME_BYTES {
            return refuse(format!("label name too long: '{name}'"));
        }
        if value.len() > MAX_VALUE_BYTES {
            return refuse(format!("label value too long: '{value}'"));
        }
        if name.starts_with(|first: char| first.is_ascii_digit()) || check_key(name).is_err() {
            return refuse(format!("invalid label name '{name}'"));
        }
        let sanitized = name.replace('.', "_");
        let equal_after_dots = |before: &(&String, &String)| before.0 != name && before.1 == value;
        if let Some(before) = seen.insert(sanitized, (name, value))
            && !equal_after_dots(&before)
        {
            return refuse(format!("duplicate label name: '{name}'"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_parse_as_the_conformance_cases_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/conformance/ingest_name.json");
        let text = std::fs::read_to_string(path).unwrap();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap();
        let cases = file["cases"].as_array().unwrap();
        assert_eq!(Some(cases.len()), file["count"].as_u64().map(|count| count as usize));
        for case in cases {
            let name = case["name"].as_str().unwrap();
            let parsed = parse_name(name);
            match case.get("parsed") {
                Some(expected) => {
                    let expected: BTreeMap<String, String> = expected
                        .as_object()
                        .unwrap()
                        .iter()
                        .map(|(key, value)| (key.clone(), value.as_str().unwrap().to_owned()))
                        .collect();
                    assert_eq!(parsed, Ok(expected), "{name}");
                }
                None => {
                    let error = parsed.unwrap_err().to_string();
                    if let Some(says) = case["parse_error"].as_str() {
                        assert_eq!(error, says, "{name}");
                    }
                }
            }
        }
    }

    #[test]
    fn series_checks() {
        let base = [("__name__", "process_cpu"), ("service_name", "svc")];
        let many: Vec<_> = (0..29).map(|number| format!("label_{number}")).collect();
        let many: Vec<_> = many.iter().map(|name| (name.as_str(), "x")).collect();
        let long = "x".repeat(2049);
        type Case<'c> = (&'c [(&'c str, &'c str)], Option<&'c str>);
        let cases: [Case<'_>; 9] = [
            (&[], None),
            (&[("a.b", "1"), ("a_b", "1")], None),
            (&[("a.b", "1"), ("a_b", "2")], Some("duplicate label name: 'a_b'")),
            (&[("a", "1"), ("a", "1")], Some("duplicate label name: 'a'")),
            (&[("1a", "1")], Some("invalid label name '1a'")),
            (&[("a-b", "1")], Some("invalid label name 'a-b'")),
            (&[("", "1")], Some("invalid label name ''")),
            (&many, Some("31 label names; limit 30")),
            (&[("a", &long)], Some("label value too long")),
        ];
        for (more, refusal) in cases {
            let series: Vec<_> =
                base.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            match (check_series(&series), refusal) {
                (Ok(()), None) => {}
                (Err(error), Some(says)) => assert!(error.to_string().contains(says), "{error}"),
                (result, _) => panic!("{more:?}: {result:?}"),
            }
        }
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let missing = [
            (vec![], "at least one label pair"),
            (vec![pair("service_name", "svc")], "invalid metric name"),
            (vec![pair("__name__", "memory")], "service name is not provided"),
            (vec![pair("__name__", "memory"), pair("service_name", "")], "service name is not provided"),
        ];
        for (series, says) in missing {
            let error = check_series(&series).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
