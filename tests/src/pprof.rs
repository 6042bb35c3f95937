//! pprof: decoding as strictly as the server does, and small valid profiles to send.

mod build;

use std::collections::BTreeSet;

use prost::Message;

use crate::gzip::{GzipError, decompress_if_gzip};

pub use build::ProfileBuilder;
pub use profiler_core::pprof::{Function, Label, Line, Location, Mapping, Profile, Sample, ValueType};

/// Why bytes are no profile that the server takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The gzip around it, or its size.
    #[error(transparent)]
    Gzip(#[from] GzipError),
    /// No such protobuf message; invalid UTF-8 in a string is one case.
    #[error("pprof does not decode: {0}")]
    Protobuf(#[from] prost::DecodeError),
    /// Decodes, but contradicts itself.
    #[error("malformed profile: {0}")]
    Inconsistent(String),
}

fn inconsistent(what: impl Into<String>) -> Malformed {
    Malformed::Inconsistent(what.into())
}

/// Decodes a profile, gzip or not, and checks that every reference in it leads somewhere.
///
/// # Errors
/// Whatever a Pyroscope server refuses, and references to functions and locations that do not exist.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Profile, Malformed> {
    let plain = decompress_if_gzip(bytes, limit)?;
    let profile = Profile::decode(&*plain)?;
    check(&profile)?;
    Ok(profile)
}

/// Checks a decoded profile.
///
/// # Errors
/// Where a reference leads nowhere, an id is zero or given twice, or values and sample types differ in number.
pub fn check(profile: &Profile) -> Result<(), Malformed> {
    if profile.sample_type.is_empty() {
        return Err(inconsistent("no sample types"));
    }
    if profile.string_table.first().is_none_or(|first| !first.is_empty()) {
        return Err(inconsistent("string 0 should be the empty string"));
    }
    check_strings(profile)?;
    check_references(profile)
}

fn check_strings(profile: &Profile) -> Result<(), Malformed> {
    let at = |index: i64, of: &str| {
        profile.text(index).ok_or_else(|| inconsistent(format!("{of}: string index {index} out of range")))
    };
    for value_type in &profile.sample_type {
        at(value_type.unit, "sample unit")?;
        let kind = at(value_type.kind, "sample type")?;
        if kind.contains('-') {
            return Err(inconsistent(format!("sample type {kind:?} contains -")));
        }
    }
    if let Some(period) = &profile.period_type {
        at(period.kind, "period type")?;
        at(period.unit, "period unit")?;
    }
    for label in profile.sample.iter().flat_map(|sample| &sample.label) {
        at(label.key, "sample label key")?;
        at(label.str, "sample label value")?;
        at(label.num_unit, "sample label unit")?;
    }
    for function in &profile.function {
        at(function.name, "function name")?;
        at(function.system_name, "function system name")?;
        at(function.filename, "function file name")?;
    }
    for mapping in &profile.mapping {
        at(mapping.filename, "mapping file name")?;
        at(mapping.build_id, "mapping build id")?;
    }
    for &comment in &profile.comment {
        at(comment, "comment")?;
    }
    at(profile.drop_frames, "drop_frames")?;
    at(profile.keep_frames, "keep_frames")?;
    at(profile.default_sample_type, "default sample type")?;
    Ok(())
}

fn check_references(profile: &Profile) -> Result<(), Malformed> {
    let functions = distinct("function", profile.function.iter().map(|function| function.id))?;
    let locations = distinct("location", profile.location.iter().map(|location| location.id))?;
    for location in &profile.location {
        for line in &location.line {
            if line.function_id != 0 && !functions.contains(&line.function_id) {
                let (from, to) = (location.id, line.function_id);
                return Err(inconsistent(format!("location {from} names function {to}, which is absent")));
            }
        }
    }
    for (number, sample) in profile.sample.iter().enumerate() {
        if sample.value.len() != profile.sample_type.len() {
            return Err(inconsistent(format!(
                "sample {number} has {} values for {} sample types",
                sample.value.len(),
                profile.sample_type.len()
            )));
        }
        if let Some(absent) = sample.location_id.iter().find(|id| !locations.contains(id)) {
            return Err(inconsistent(format!("sample {number} names location {absent}, which is absent")));
        }
    }
    Ok(())
}

fn distinct(what: &str, ids: impl Iterator<Item = u64>) -> Result<BTreeSet<u64>, Malformed> {
    let mut seen = BTreeSet::new();
    for id in ids {
        if id == 0 {
            return Err(inconsistent(format!("{what} id is 0")));
        }
        if !seen.insert(id) {
            return Err(inconsistent(format!("{what} id {id} is given twice")));
        }
    }
    Ok(seen)
}

/// `cpu:nanoseconds` and the like.
#[must_use]
pub fn sample_type_names(profile: &Profile) -> Vec<String> {
    let named = |of: &ValueType| format!("{}:{}", profile.string(of.kind), profile.string(of.unit));
    profile.sample_type.iter().map(named).collect()
}

/// Names of the functions that some sample's stack holds.
#[must_use]
pub fn sampled_functions(profile: &Profile) -> BTreeSet<String> {
    let sampled: BTreeSet<u64> = profile.sample.iter().flat_map(|sample| sample.location_id.iter().copied()).collect();
    let locations = profile.location.iter().filter(|location| sampled.contains(&location.id));
    let functions: BTreeSet<u64> =
        locations.flat_map(|location| location.line.iter().map(|line| line.function_id)).collect();
    let named = profile.function.iter().filter(|function| functions.contains(&function.id));
    named.map(|function| profile.string(function.name).to_owned()).collect()
}

/// The text labels of all samples.
#[must_use]
pub fn sample_labels(profile: &Profile) -> BTreeSet<(String, String)> {
    let labels = profile.sample.iter().flat_map(|sample| &sample.label).filter(|label| label.str != 0);
    labels.map(|label| (profile.string(label.key).to_owned(), profile.string(label.str).to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: usize = 1 << 20;

    fn valid() -> Profile {
        ProfileBuilder::cpu().sample(&["leaf", "main"], &[10], &[("thread", "worker")]).build()
    }

    #[test]
    fn what_the_builder_makes_is_valid() {
        let bytes = ProfileBuilder::cpu()
            .sample(&["leaf", "main"], &[10], &[("thread", "worker")])
            .sample(&["main"], &[20], &[])
            .gzip()
            .unwrap();
        let profile = decode(&bytes, LIMIT).unwrap();
        assert_eq!(sample_type_names(&profile), ["cpu:nanoseconds"]);
        assert_eq!(sampled_functions(&profile), ["leaf", "main"].map(str::to_owned).into());
        assert_eq!(sample_labels(&profile), [("thread".to_owned(), "worker".to_owned())].into());
        assert_eq!(profile.location.len(), 2, "one location a function");
    }

    type Damage = fn(&mut Profile);
    const DAMAGES: [(&str, Damage); 13] = [
        ("no sample types", |p| p.sample_type.clear()),
        ("string 0 should be the empty string", |p| p.string_table[0] = "x".to_owned()),
        ("sample type: string index 99 out of range", |p| p.sample_type[0].kind = 99),
        ("sample unit: string index -1 out of range", |p| p.sample_type[0].unit = -1),
        ("sample type \"inuse-space\" contains -", |p| {
            let kind = usize::try_from(p.sample_type[0].kind).unwrap();
            p.string_table[kind] = "inuse-space".to_owned();
        }),
        ("sample label value: string index 99", |p| p.sample[0].label[0].str = 99),
        ("function file name: string index 99", |p| p.function[0].filename = 99),
        ("function id is 0", |p| p.function[0].id = 0),
        ("location id 1 is given twice", |p| p.location[1].id = 1),
        ("names function 99, which is absent", |p| p.location[0].line[0].function_id = 99),
        ("names location 99, which is absent", |p| p.sample[0].location_id[0] = 99),
        ("has 2 values for 1 sample types", |p| p.sample[0].value.push(1)),
        ("comment: string index 99", |p| p.comment.push(99)),
    ];

    #[test]
    fn every_inconsistency_is_named() {
        assert_eq!(check(&valid()), Ok(()));
        for (says, damage) in DAMAGES {
            let mut profile = valid();
            damage(&mut profile);
            let error = check(&profile).unwrap_err().to_string();
            assert!(error.contains(says), "expected {says:?}, got {error:?}");
        }
    }

    #[test]
    fn refuses_garbage_and_what_is_cut_off() {
        let bytes = valid().encode_to_vec();
        assert!(matches!(decode(b"garbage", LIMIT), Err(Malformed::Protobuf(_))));
        assert!(matches!(decode(&bytes[..bytes.len() - 1], LIMIT), Err(Malformed::Protobuf(_))));
        assert!(matches!(decode(&bytes, bytes.len() - 1), Err(Malformed::Gzip(_))));
        assert!(matches!(decode(b"", LIMIT), Err(Malformed::Inconsistent(_))));
    }
}
