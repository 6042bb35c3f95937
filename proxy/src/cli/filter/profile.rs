//! How a profile is shown before and after.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use bytes::Bytes;
use profiler_core::pprof::edit::{Edited, Editing, LabelValue};

use crate::filters::MAX_PROFILE;

/// Most lines of a difference.
const MOST_LINES: usize = 100;

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
    let marked = (before.difference(&after).map(|fact| (fact, '-')))
        .chain(after.difference(&before).map(|fact| (fact, '+')))
        .collect::<BTreeMap<_, _>>();
    let mut text = "profile: changed\n".to_owned();
    for (fact, mark) in marked.iter().take(MOST_LINES) {
        let _always = writeln!(text, "{mark} {fact}");
    }
    if marked.len() > MOST_LINES {
        let _always = writeln!(text, "  and {} more lines", marked.len() - MOST_LINES);
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
            profile.string(function.name),
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
