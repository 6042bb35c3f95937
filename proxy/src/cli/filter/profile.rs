//! How a profile is shown before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use profiler_core::pprof::edit::{Edited, Editing, LabelValue};

use crate::filters::cases::Contents;
use crate::filters::{MAX_PROFILE, function_name};

/// Most lines of a difference.
const MOST_LINES: usize = 100;
/// Most characters of a line: deep stacks are long.
const MOST_CHARACTERS: usize = 400;

/// What differs in totals, functions and labels of samples: `-` what goes, `+` what comes.
pub(super) fn difference(before: &Bytes, after: &Edited) -> String {
    let after = match after {
        Edited::Unchanged => return "profile: unchanged\n".to_owned(),
        Edited::Empty => return "profile: nothing is left of it, and it is dropped\n".to_owned(),
        Edited::Changed(bytes) => bytes,
    };
    let (Ok(before), Ok(after)) = (facts(before), facts(after)) else {
        // The filter had it open: it is the change that is too large.
        return format!("profile: changed, and too large to be shown; {} bytes\n", after.len());
    };
    let marked = (before.difference(&after).map(|fact| (&**fact, '-')))
        .chain(after.difference(&before).map(|fact| (&**fact, '+')))
        .map(|(fact, mark)| ((fact, mark), 1));
    format!("profile: changed\n{}", listed(&marked.collect()))
}

/// What differs in sample types and samples: `-` what is expected and not there, `+` what is there instead.
pub(super) fn mismatch(expected: &Contents, found: &Contents) -> String {
    let missing = expected.without(found).map(|(line, times)| ((line, '-'), times));
    listed(&missing.chain(found.without(expected).map(|(line, times)| ((line, '+'), times))).collect())
}

/// Lines with their marks, and how often they occur.
fn listed(lines: &BTreeMap<(&str, char), usize>) -> String {
    let mut text = String::new();
    for (&(line, mark), times) in lines.iter().take(MOST_LINES) {
        let times = if *times > 1 { format!("{times} times ") } else { String::new() };
        let (line, dots) = match line.char_indices().nth(MOST_CHARACTERS) {
            Some((end, _)) => (line.get(..end).unwrap_or(line), "…"),
            None => (line, ""),
        };
        let _always = writeln!(text, "{mark} {times}{line}{dots}");
    }
    if lines.len() > MOST_LINES {
        let _always = writeln!(text, "  and {} more lines", lines.len() - MOST_LINES);
    }
    text
}

/// What a person wants to know of a profile, a line each.
fn facts(profile: &Bytes) -> Result<BTreeSet<String>, profiler_core::pprof::PprofError> {
    let editing = Editing::open(profile, MAX_PROFILE)?;
    let original = editing.original();
    let profile = original.profile();
    let mut facts = BTreeSet::from([format!("samples: {}", profile.sample.len())]);
    for (place, counted) in profile.sample_type.iter().enumerate() {
        let total = profile
            .sample
            .iter()
            .filter_map(|sample| sample.value.get(place))
            .fold(0, |a: i64, b| a.saturating_add(*b));
        facts.insert(format!("total of {}: {total} {}", profile.string(counted.kind), profile.string(counted.unit)));
    }
    for function in &profile.function {
        facts.insert(format!(
            "function {:?} in {:?}",
            function_name(profile, function),
            profile.string(function.filename)
        ));
    }
    for label in profile.sample.iter().flat_map(|sample| original.labels(sample)) {
        facts.insert(match label.value {
            LabelValue::Text(text) => format!("label {}={text:?}", label.key),
            LabelValue::Number(number, unit) => format!("label {}={number} {unit}", label.key),
        });
    }
    Ok(facts)
}
