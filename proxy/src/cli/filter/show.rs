//! How a call is shown: labels before and after, what was logged, where it failed.

use std::collections::BTreeMap;
use std::fmt::Write;

use profiler_core::labels::Labels;
use serde_json::{Value, json};

use super::advice::advice;
use crate::filters::cases::{Outcome, ProfileAfter};
use crate::filters::{FilterError, Frame, LogLine, TrialError, Tried, Verdict};

/// Labels before and after, one a line: `-` what goes, `+` what comes, a space what stays.
pub(super) fn difference(before: &Labels, after: &Labels) -> String {
    let mut lines = BTreeMap::<&str, [Option<&str>; 2]>::new();
    for (name, value) in before.iter() {
        lines.entry(name).or_default()[0] = Some(value);
    }
    for (name, value) in after.iter() {
        lines.entry(name).or_default()[1] = Some(value);
    }
    let mut text = String::new();
    for (name, sides) in lines {
        let mut line = |mark: &str, value: &str| {
            let _always = writeln!(text, "{mark} {name}={value:?}");
        };
        match sides {
            [Some(before), Some(after)] if before == after => line(" ", before),
            [before, after] => {
                before.into_iter().for_each(|value| line("-", value));
                after.into_iter().for_each(|value| line("+", value));
            }
        }
    }
    text
}

/// An outcome in a few words.
pub(super) fn words(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted => "the configuration is accepted".to_owned(),
        Outcome::Refused(said) => format!("refused: {said}"),
        Outcome::Verdict(verdict, profile) => {
            let verdict = match verdict {
                Verdict::Unchanged => "unchanged".to_owned(),
                Verdict::Drop(reason) => format!("drop: {reason}"),
                Verdict::Replace(labels) => format!("labels: {labels}"),
            };
            let profile = profile.as_ref().map(|after| format!("; profile: {}", profile_word(after)));
            verdict + &profile.unwrap_or_default()
        }
    }
}

/// As in cases, where `changed` is a file.
fn profile_word(after: &ProfileAfter) -> &'static str {
    match after {
        ProfileAfter::Unchanged => "unchanged",
        ProfileAfter::Empty => "empty",
        ProfileAfter::Changed(_) => "changed",
        ProfileAfter::TooLarge => "changed, and too large to be compared",
    }
}

/// A failure: what, where in the filter, and what to do.
pub(super) fn failure(error: &TrialError) -> String {
    let mut text = format!("{error}\n");
    if let TrialError::Failed { frames, .. } = error {
        frames.iter().for_each(|frame| {
            let _always = writeln!(text, "    in {frame}");
        });
        if !frames.is_empty() && frames.iter().all(|frame| frame.name.is_none()) {
            text += "  names of functions show where the build does not strip them\n";
        }
    }
    if let Some(advice) = advice(error) {
        let _always = writeln!(text, "  {advice}");
    }
    text
}

/// Lines of a filter's log.
pub(super) fn log<T>(tried: &Tried<T>) -> String {
    let mut text: String = tried.log.iter().map(|LogLine { level, text }| format!("log {level}: {text}\n")).collect();
    if tried.lines_left_out > 0 {
        let _always = writeln!(text, "log: {} more lines", tried.lines_left_out);
    }
    text
}

/// An outcome in the form that cases have, or a failure.
pub(super) fn outcome_as_json(outcome: Result<&Outcome, &TrialError>) -> Value {
    match outcome {
        Ok(Outcome::Accepted) => json!("accepted"),
        Ok(Outcome::Refused(said)) | Err(TrialError::Refused(said)) => json!({ "refused": said }),
        Ok(Outcome::Verdict(verdict, profile)) => {
            let verdict = match verdict {
                Verdict::Unchanged => json!("unchanged"),
                Verdict::Drop(reason) => json!({ "drop": &**reason }),
                Verdict::Replace(labels) => json!({ "labels": labels_as_json(labels) }),
            };
            match profile {
                None => json!({ "verdict": verdict }),
                Some(after) => json!({ "verdict": verdict, "profile": profile_word(after) }),
            }
        }
        Err(error @ TrialError::Ungranted(_)) => {
            json!({ "failed": { "error": error.to_string(), "advice": advice(error) } })
        }
        Err(error @ TrialError::Failed { function, error: failed, frames }) => json!({ "failed": {
            "function": function.to_string(),
            "kind": FilterError::kind(failed),
            "error": failed.to_string(),
            "frames": frames.iter().map(Frame::to_string).collect::<Vec<_>>(),
            "advice": advice(error),
        } }),
    }
}

/// Labels as an object.
pub(super) fn labels_as_json(labels: &Labels) -> Value {
    labels.iter().map(|(name, value)| (name.to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into()
}

/// A filter's log as an array.
pub(super) fn log_as_json<T>(tried: &Tried<T>) -> Value {
    tried.log.iter().map(|LogLine { level, text }| json!({ "level": level, "text": text })).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_says_what_goes_comes_and_stays() {
        let before = Labels::from_pairs([("a", "1"), ("b", "x\ny"), ("c", "3")]).unwrap();
        let after = Labels::from_pairs([("a", "1"), ("c", "4"), ("d", "5")]).unwrap();
        assert_eq!(difference(&before, &after), "  a=\"1\"\n- b=\"x\\ny\"\n- c=\"3\"\n+ c=\"4\"\n+ d=\"5\"\n");
    }
}
