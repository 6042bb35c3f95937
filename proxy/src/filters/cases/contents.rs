//! What a profile says, apart from how it is written: ids, the order of samples and of tables, and compression are of
//! no account.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use bytes::Bytes;
use profiler_core::pprof::edit::{Editing, LabelValue, Original};
use profiler_core::pprof::{PprofError, Sample};

use crate::filters::{MAX_PROFILE, function_name};

/// Most bytes of text. Each sample names its whole stack, so that they are many times those of the profile.
const MOST_TEXT: usize = 64 << 20;

/// The sample types of a profile and its samples, in words: how often each line occurs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contents(BTreeMap<String, usize>);

/// Why a profile cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum ContentsError {
    /// It is none, or larger than a filter may look into.
    #[error("is no profile: {0}")]
    Unreadable(#[from] PprofError),
    /// Its stacks together are.
    #[error("has stacks of more than {} MiB in words: take a profile with fewer samples", MOST_TEXT >> 20)]
    TooLarge,
}

impl Contents {
    /// Of a pprof profile, gzipped or not.
    pub fn of(profile: &Bytes) -> Result<Self, ContentsError> {
        let editing = Editing::open(profile, MAX_PROFILE)?;
        let original = editing.original();
        let profile = original.profile();
        let mut lines = BTreeMap::new();
        let mut left = MOST_TEXT;
        let mut add = |write: &dyn Fn(&mut Line) -> fmt::Result| {
            let mut line = Line { text: String::new(), left };
            write(&mut line).map_err(|fmt::Error| ContentsError::TooLarge)?;
            left = line.left;
            *lines.entry(line.text).or_default() += 1;
            Ok::<_, ContentsError>(())
        };
        for (place, counted) in profile.sample_type.iter().enumerate() {
            let (kind, unit) = (profile.string(counted.kind), profile.string(counted.unit));
            add(&|line| write!(line, "value {place} of samples: {kind:?} in {unit:?}"))?;
        }
        for sample in &profile.sample {
            add(&|line| write_sample(line, original, sample))?;
        }
        Ok(Self(lines))
    }

    /// Lines that are here more often than there, and how much more often.
    pub fn without<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a str, usize)> {
        self.0.iter().filter_map(|(line, times)| {
            let more = times.saturating_sub(other.0.get(line).copied().unwrap_or_default());
            (more > 0).then_some((&**line, more))
        })
    }
}

fn write_sample(line: &mut Line, original: &Original, sample: &Sample) -> fmt::Result {
    let profile = original.profile();
    for (place, value) in sample.value.iter().enumerate() {
        let between = if place == 0 { "" } else { "/" };
        write!(line, "{between}{value}")?;
    }
    for label in original.labels(sample) {
        match label.value {
            LabelValue::Text(text) => write!(line, " {}={text:?}", label.key)?,
            LabelValue::Number(number, unit) => write!(line, " {}={number}{unit}", label.key)?,
        }
    }
    line.write_str(":")?;
    for &id in &sample.location_id {
        let Some(location) = original.location(id).and_then(|place| profile.location.get(place)) else {
            line.write_str(" <nowhere>")?;
            continue;
        };
        if location.line.is_empty() {
            write!(line, " {:#x}", location.address)?;
        }
        for called in &location.line {
            let function = original.function(called.function_id).and_then(|place| profile.function.get(place));
            let Some(function) = function else {
                write!(line, " <no function>:{}", called.line)?;
                continue;
            };
            let (name, in_binary) = (function_name(profile, function), profile.string(function.system_name));
            write!(line, " {name:?}")?;
            if in_binary != name {
                write!(line, " ({in_binary:?} in the binary)")?;
            }
            write!(line, " at {:?}:{}", profile.string(function.filename), called.line)?;
        }
    }
    Ok(())
}

/// A text, and how many bytes may still be added.
struct Line {
    text: String,
    left: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.left = self.left.checked_sub(text.len()).ok_or(fmt::Error)?;
        self.text.push_str(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use profiler_core::pprof::{Function, Label, Line, Location, Profile, Sample, ValueType};
    use prost::Message;

    use super::*;

    /// `main` calls `pay` twice, in one place of two; of the samples the first `count`.
    fn profile(count: usize) -> Profile {
        let function = |id, name, system_name| Function { id, name, system_name, filename: 5, start_line: 1 };
        let location = |id, function_id| Location {
            id,
            line: vec![Line { function_id, line: id as i64, column: 0 }],
            ..Location::default()
        };
        let label = vec![Label { key: 6, str: 7, ..Label::default() }, Label { key: 6, num: 5, ..Label::default() }];
        let sample = |value, label| Sample { location_id: vec![2, 1], value: vec![value, 1], label };
        let mut samples = vec![sample(7, label), sample(7, vec![]), sample(7, vec![]), sample(8, vec![])];
        samples.truncate(count);
        Profile {
            sample_type: vec![ValueType { kind: 1, unit: 2 }, ValueType { kind: 1, unit: 0 }],
            sample: samples,
            location: vec![location(1, 1), location(2, 2)],
            function: vec![function(1, 3, 3), function(2, 0, 4)],
            string_table: ["", "cpu", "ns", "main", "pay", "a.go", "thread", "x"].map(str::to_owned).to_vec(),
            ..Profile::default()
        }
    }

    fn contents(profile: &Profile) -> Contents {
        Contents::of(&profile.encode_to_vec().into()).unwrap()
    }

    fn difference(before: &Profile, after: &Profile) -> Vec<String> {
        let (before, after) = (contents(before), contents(after));
        let shown = |mark: &str, (line, times): (&str, usize)| format!("{mark}{times} {line}");
        let gone = before.without(&after).map(|line| shown("-", line));
        gone.chain(after.without(&before).map(|line| shown("+", line))).collect()
    }

    #[test]
    fn how_it_is_written_is_of_no_account() {
        let one = profile(4);
        let mut other = one.clone();
        other.sample.reverse();
        other.location.swap(0, 1);
        other.function.iter_mut().for_each(|function| function.id += 10);
        other.location.iter_mut().for_each(|location| location.line[0].function_id += 10);
        other.string_table.push("nobody's".to_owned());
        other.time_nanos = 1;
        assert_eq!(contents(&one), contents(&other));
    }

    #[test]
    fn what_differs_is_said_in_words() {
        const STACK: &str = r#": "pay" at "a.go":2 "main" at "a.go":1"#;
        type Change = fn(&mut Profile);
        let cases: [(Change, &[&str]); 6] = [
            (|after| after.sample.truncate(1), &["-2 7/1 STACK", "-1 8/1 STACK"]),
            (|after| after.sample[3].value[0] = 7, &["-1 8/1 STACK", "+1 7/1 STACK"]),
            (
                |after| after.sample[0].label.truncate(1),
                &[r#"-1 7/1 thread="x" thread=5 STACK"#, r#"+1 7/1 thread="x" STACK"#],
            ),
            (
                |after| after.sample_type[1].unit = 2,
                &[r#"-1 value 1 of samples: "cpu" in """#, r#"+1 value 1 of samples: "cpu" in "ns""#],
            ),
            (
                |after| {
                    after.sample.truncate(1);
                    after.function[1].name = 3;
                },
                &[
                    r#"-1 7/1 thread="x" thread=5 STACK"#,
                    "-2 7/1 STACK",
                    "-1 8/1 STACK",
                    r#"+1 7/1 thread="x" thread=5: "main" ("pay" in the binary) at "a.go":2 "main" at "a.go":1"#,
                ],
            ),
            (
                |after| {
                    after.sample.drain(1..3);
                    after.sample[1].location_id = vec![9, 2];
                    after.location[1].line.clear();
                    after.location[1].address = 32;
                    after.sample.remove(0);
                },
                &[r#"-1 7/1 thread="x" thread=5 STACK"#, "-2 7/1 STACK", "-1 8/1 STACK", "+1 8/1: <nowhere> 0x20"],
            ),
        ];
        for (change, expected) in cases {
            let mut after = profile(4);
            change(&mut after);
            let expected: Vec<String> = expected.iter().map(|line| line.replace(" STACK", STACK)).collect();
            assert_eq!(difference(&profile(4), &after), expected);
        }
    }

    #[test]
    fn what_is_no_profile_or_too_large_is_refused() {
        let said = |profile: Vec<u8>| Contents::of(&profile.into()).unwrap_err().to_string();
        assert!(said(b"no profile".to_vec()).starts_with("is no profile: "));
        // A few bytes a sample, and a megabyte of words.
        let mut large = profile(1);
        large.string_table[3] = "m".repeat(1 << 20);
        large.sample = vec![large.sample[0].clone(); 65];
        assert_eq!(
            said(large.encode_to_vec()),
            "has stacks of more than 64 MiB in words: take a profile with fewer samples"
        );
    }
}
