//! The conformance cases and the list of those that Flamegate answers otherwise.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

/// A case; what a deviation says stands in it already.
#[derive(Debug, Clone)]
pub struct Case {
    /// Its `id`, or its position where the file gives none, counted from 0.
    pub id: String,
    /// The case.
    pub value: Value,
}

/// Why cases cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ConformanceError {
    /// No such file.
    #[error("{}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Not JSON.
    #[error("{file}: {error}")]
    Json {
        /// Which.
        file: String,
        /// Why.
        error: serde_json::Error,
    },
    /// The list of deviations cannot be read.
    #[error("{DEVIATIONS}: {0}")]
    Deviations(#[from] toml::de::Error),
    /// No array of as many cases as it counts, or two of one id.
    #[error("{file}: {what}")]
    Cases {
        /// Which.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// A deviation that is none.
    #[error("{DEVIATIONS}: {file}, {id:?}: {what}")]
    Deviation {
        /// Its file.
        file: String,
        /// Its id.
        id: String,
        /// What is wrong.
        what: &'static str,
    },
}

const DEVIATIONS: &str = "deviations.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviations {
    #[serde(default, rename = "deviation")]
    all: Vec<Deviation>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Deviation {
    file: String,
    id: String,
    /// Fields of the case that replace those of the same name, at any depth.
    ours: Value,
    reason: String,
}

/// The cases of a file, each as Flamegate is to answer it.
///
/// # Errors
/// When the file or the list of deviations is not as it should be: a deviation of this file has to name a case, to
/// change it, and to say why.
pub fn cases(file: &str) -> Result<Vec<Case>, ConformanceError> {
    let document: Value =
        serde_json::from_str(&read(file)?).map_err(|error| ConformanceError::Json { file: file.to_owned(), error })?;
    let deviations: Deviations = toml::from_str(&read(DEVIATIONS)?)?;
    let mut cases = numbered(&document).map_err(|what| ConformanceError::Cases { file: file.to_owned(), what })?;
    for deviation in deviations.all.into_iter().filter(|deviation| deviation.file == file) {
        let Deviation { file, id, ours, reason } = deviation;
        let wrong = |what| ConformanceError::Deviation { file: file.clone(), id: id.clone(), what };
        let case = cases.iter_mut().find(|case| case.id == id).ok_or_else(|| wrong("there is no such case"))?;
        let theirs = case.value.clone();
        overlay(&mut case.value, ours);
        if case.value == theirs {
            return Err(wrong("the answer is the reference's"));
        }
        if reason.trim().is_empty() {
            return Err(wrong("there is no reason"));
        }
    }
    Ok(cases)
}

fn read(file: &str) -> Result<String, ConformanceError> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(file);
    std::fs::read_to_string(&path).map_err(|error| ConformanceError::Read { path, error })
}

fn numbered(document: &Value) -> Result<Vec<Case>, String> {
    let cases = document.get("cases").and_then(Value::as_array).ok_or("there is no array `cases`")?;
    let counted = document.get("count").and_then(Value::as_u64);
    if counted != Some(cases.len() as u64) {
        return Err(format!("{} cases and a count of {counted:?}", cases.len()));
    }
    let mut ids = BTreeSet::new();
    let mut numbered = Vec::with_capacity(cases.len());
    for (position, value) in cases.iter().enumerate() {
        let id = value.get("id").and_then(Value::as_str).map_or_else(|| position.to_string(), str::to_owned);
        if !ids.insert(id.clone()) {
            return Err(format!("two cases have the id {id:?}"));
        }
        numbered.push(Case { id, value: value.clone() });
    }
    Ok(numbered)
}

fn overlay(onto: &mut Value, ours: Value) {
    match (onto, ours) {
        (Value::Object(onto), Value::Object(ours)) => {
            for (key, value) in ours {
                overlay(onto.entry(key).or_insert(Value::Null), value);
            }
        }
        (onto, ours) => *onto = ours,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_overlay_changes_what_it_names() {
        let mut case = json!({ "status": 200, "expected": { "error": null, "requests": 1 } });
        overlay(&mut case, json!({ "status": 500, "expected": { "error": { "code": "unknown" } } }));
        assert_eq!(case, json!({ "status": 500, "expected": { "error": { "code": "unknown" }, "requests": 1 } }));
    }

    #[test]
    fn every_deviation_names_a_case() {
        let deviations: Deviations = toml::from_str(&read(DEVIATIONS).unwrap()).unwrap();
        for Deviation { file, id, .. } in deviations.all {
            let cases = numbered(&serde_json::from_str(&read(&file).unwrap()).unwrap()).unwrap();
            assert!(cases.iter().any(|case| case.id == id), "{file} has no case {id:?}");
        }
    }

    #[test]
    fn a_file_must_be_what_it_says() {
        for (document, says) in [
            (json!({}), "no array"),
            (json!({ "cases": [{}], "count": 2 }), "1 cases and a count of Some(2)"),
            (json!({ "cases": [{ "id": "a" }, { "id": "a" }], "count": 2 }), "the id \"a\""),
        ] {
            assert!(numbered(&document).unwrap_err().contains(says));
        }
        let cases = numbered(&json!({ "cases": [{ "id": "a" }, {}], "count": 2 })).unwrap();
        assert_eq!(cases.iter().map(|case| case.id.as_str()).collect::<Vec<_>>(), ["a", "1"]);
    }
}
