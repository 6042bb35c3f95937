//! Cases of a filter: what it is to answer, as data. `flamegate filter test` reads them, and so do the tests of the
//! filters in this repository.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use profiler_core::labels::{LabelError, Labels};
use profiler_core::pprof::edit::Edited;

use super::{Capability, Module, TableError, Tables, Trial, TrialError, TrialSettings, Tried, Verdict};

mod contents;
mod written;

pub use contents::{Contents, ContentsError};

/// One configuration, and what it is to come to.
#[derive(Debug, Clone)]
pub struct Case {
    /// What is tried, for people.
    pub name: String,
    config: String,
    tables: Arc<Tables>,
    expected: Expected,
}

/// What a configuration is to come to.
#[derive(Debug, Clone)]
enum Expected {
    /// It is refused, in these words, whole.
    Refused(String),
    /// These series are judged, one after the other.
    Series(Vec<Series>),
}

/// What is handed over, and what is to become of it.
#[derive(Debug, Clone)]
struct Series {
    labels: Labels,
    profile: Option<Bytes>,
    outcome: Outcome,
}

/// Why a text holds no cases.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// No JSON, or JSON of another form.
    #[error("these are no cases: {0}")]
    Form(#[from] serde_json::Error),
    /// A case that says nothing that can be tried.
    #[error("the case {name:?} {error}")]
    Case {
        /// Which.
        name: String,
        /// Why.
        error: CaseError,
    },
    /// Nothing would be tried.
    #[error("there is no case: write at least one")]
    None,
}

/// Why a case is none.
#[derive(Debug, thiserror::Error)]
pub enum CaseError {
    /// It is about nothing, or about two things.
    #[error("says neither `refused` nor `series`, or both: write one of them")]
    Purpose,
    /// Nothing would be tried.
    #[error("has no series: write at least one")]
    NoSeries,
    /// As series or rows have them.
    #[error("has labels that are none: {0}")]
    Labels(#[from] LabelError),
    /// What may be looked up.
    #[error("has a table that is none: {0}")]
    Table(#[from] TableError),
    /// What becomes of the profile is not said.
    #[error(
        "hands over {0:?} and does not say what becomes of it: write `profile_after`, which is \"unchanged\", \"empty\" \
         or the file of a profile"
    )]
    NoProfileAfter(String),
    /// There is none that anything could become of.
    #[error("says `profile_after` of a series without `profile`: write the file of the profile that is handed over")]
    NoProfile,
    /// What is dropped is not passed on.
    #[error("says `profile_after` of a series that is dropped: leave it out")]
    Dropped,
    /// The file of a profile, in the words of who reads it.
    #[error("names a profile that cannot be had: {0}")]
    Unread(String),
    /// The file of the profile that is to come of it.
    #[error("expects {file:?}, which {error}")]
    Contents {
        /// As the case names it.
        file: String,
        /// Why.
        error: ContentsError,
    },
}

/// Within which bounds cases are tried.
#[derive(Debug, Clone)]
pub struct Limits {
    /// What the filter may use besides what it is handed.
    pub capabilities: Vec<Capability>,
    /// The longest that a call may take.
    pub timeout: Duration,
    /// The most memory that an instance may have, in bytes.
    pub memory_limit: usize,
}

/// Where a filter did something else than the case says.
#[derive(Debug)]
pub struct Mismatch {
    /// The series that was judged; `None` where it is about the configuration.
    pub labels: Option<Labels>,
    /// What the case says.
    pub expected: Outcome,
    /// What came of it.
    pub found: Tried<Outcome>,
}

/// What came of a configuration or of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The configuration is accepted.
    Accepted,
    /// It is refused, in these words.
    Refused(String),
    /// The series becomes this, and its profile, where it was handed over and is passed on.
    Verdict(Verdict, Option<ProfileAfter>),
}

/// What becomes of a profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileAfter {
    /// Its bytes stay.
    Unchanged,
    /// Nothing is left of it.
    Empty,
    /// It is changed, and says this.
    Changed(Contents),
    /// It is changed, and so large that it is not compared.
    TooLarge,
}

impl Case {
    /// Reads a JSON array of cases; `profile` reads the file of a profile by the path in a case, or says why not.
    pub fn read_all(text: &str, profile: impl Fn(&Path) -> Result<Bytes, String>) -> Result<Vec<Self>, CasesError> {
        let cases: Vec<written::Case> = serde_json::from_str(text)?;
        if cases.is_empty() {
            return Err(CasesError::None);
        }
        cases.into_iter().map(|case| case.read(&profile)).collect()
    }

    /// Tries it: what differs, nothing where the filter does as it should. A filter that says it is deterministic is
    /// asked for each series twice, the second time on an instance that has seen them all.
    pub fn differences(&self, module: &Module, limits: &Limits) -> Vec<Mismatch> {
        let Limits { capabilities, timeout, memory_limit } = limits.clone();
        let (config, tables) = (self.config.clone(), self.tables.clone());
        let started = Trial::start(module, TrialSettings { config, tables, capabilities, timeout, memory_limit });
        match &self.expected {
            Expected::Refused(words) => {
                let expected = Outcome::Refused(words.clone());
                let found = started.and_then(|started| match started {
                    Err(TrialError::Refused(said)) => Ok(Outcome::Refused(said)),
                    other => other.map(|_| Outcome::Accepted),
                });
                Mismatch { labels: None, expected, found }.if_it_is_one().into_iter().collect()
            }
            Expected::Series(series) => {
                let mut trial = None;
                let found = started.and_then(|started| {
                    trial = Some(started?);
                    Ok(Outcome::Accepted)
                });
                let Some(mut trial) = trial else {
                    return vec![Mismatch { labels: None, expected: Outcome::Accepted, found }];
                };
                let rounds = if trial.described().deterministic { 2 } else { 1 };
                let mut differences = Vec::new();
                for _ in 0..rounds {
                    differences.extend(series.iter().filter_map(|series| {
                        let found = series.hand_to(&mut trial);
                        let (labels, expected) = (Some(series.labels.clone()), series.outcome.clone());
                        Mismatch { labels, expected, found }.if_it_is_one()
                    }));
                    // A second time would say the same again.
                    if !differences.is_empty() {
                        break;
                    }
                }
                differences
            }
        }
    }
}

impl Series {
    fn hand_to(&self, trial: &mut Trial) -> Tried<Outcome> {
        let Some(profile) = &self.profile else {
            return trial.apply(&self.labels).map(|verdict| Outcome::Verdict(verdict, None));
        };
        trial.apply_to_profile(&self.labels, profile).map(|(verdict, edited)| {
            let is_passed_on = !matches!(verdict, Verdict::Drop(_));
            Outcome::Verdict(verdict, is_passed_on.then(|| ProfileAfter::of(&edited)))
        })
    }
}

impl ProfileAfter {
    fn of(edited: &Edited) -> Self {
        match edited {
            Edited::Unchanged => Self::Unchanged,
            Edited::Empty => Self::Empty,
            // The host wrote it: that it cannot be read can only be for its size.
            Edited::Changed(bytes) => Contents::of(bytes).map_or(Self::TooLarge, Self::Changed),
        }
    }
}

impl Mismatch {
    fn if_it_is_one(self) -> Option<Self> {
        let meets = self.found.outcome.as_ref().is_ok_and(|found| *found == self.expected);
        (!meets).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_case_is_refused_where_it_stands() {
        for (text, says) in [
            ("[]", "no case"),
            ("{}", "expected a sequence"),
            (r#"[{"name": "a", "config": []}]"#, "\"a\" says neither"),
            (r#"[{"name": "a", "config": [], "series": []}]"#, "\"a\" has no series"),
            (r#"[{"name": "a", "config": [], "series": [], "refused": ""}]"#, "or both"),
            (r#"[{"name": "a", "config": [], "rows": []}]"#, "unknown field `rows`"),
            (r#"[{"name": "a", "config": [], "series": [{"labels": {}, "verdict": "kept"}]}]"#, "`kept`"),
            (r#"[{"name": "a", "config": [], "refused": "", "tables": {"t": {"rows": []}}}]"#, "missing field `key`"),
        ] {
            let said = Case::read_all(text, |_| Err("no files".to_owned())).unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }

    #[test]
    fn what_becomes_of_a_profile_is_said_where_it_can_be() {
        for (series, says) in [
            (r#""verdict": "unchanged", "profile": "in""#, r#"hands over "in" and does not say what becomes of it"#),
            (r#""verdict": "unchanged", "profile_after": "empty""#, "without `profile`"),
            (r#""verdict": {"drop": "x"}, "profile": "in", "profile_after": "empty""#, "leave it out"),
            (r#""verdict": "unchanged", "profile": "none", "profile_after": "empty""#, "cannot be had: no none"),
            (r#""verdict": "unchanged", "profile": "in", "profile_after": "./empty""#, "cannot be had: no ./empty"),
            (
                r#""verdict": "unchanged", "profile": "in", "profile_after": "in""#,
                r#"expects "in", which is no profile"#,
            ),
            (r#""verdict": {"drop": "x"}, "profile": "in""#, ""),
            (r#""verdict": {"labels": {}}, "profile": "in", "profile_after": "unchanged""#, ""),
        ] {
            let text = format!(r#"[{{"name": "a", "config": [], "series": [{{"labels": {{}}, {series}}}]}}]"#);
            let read = Case::read_all(&text, |path| match path.to_str() {
                Some("in") => Ok(Bytes::from_static(b"no profile")),
                _ => Err(format!("no {}", path.display())),
            });
            match read {
                Ok(_) => assert_eq!(says, "", "{series}"),
                Err(error) => {
                    let said = error.to_string();
                    assert!(
                        !says.is_empty() && said.contains(says) && said.contains(r#"the case "a""#),
                        "{series}: {said}"
                    );
                }
            }
        }
    }
}
