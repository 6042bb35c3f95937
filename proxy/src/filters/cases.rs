//! Cases of a filter: what it is to answer, as data. `flamegate filter test` reads them, and so do the tests of the
//! filters in this repository.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use profiler_core::labels::{LabelError, Labels};
use serde::Deserialize;

use super::{Capability, Module, Rows, TableError, Tables, Trial, TrialError, TrialSettings, Tried, Verdict};

/// One configuration, and what it is to come to.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "written::Case")]
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
    Series(Vec<(Labels, Verdict)>),
}

/// Why a text holds no cases.
#[derive(Debug, thiserror::Error)]
pub enum CasesError {
    /// No JSON, or JSON of another form.
    #[error("these are no cases: {0}")]
    Form(#[from] serde_json::Error),
    /// Nothing would be tried.
    #[error("there is no case: write at least one")]
    None,
}

/// Why a case is none.
#[derive(Debug, thiserror::Error)]
enum CaseError {
    #[error("the case {0:?} says neither `refused` nor `series`, or both: write one of them")]
    Purpose(String),
    #[error("the case {0:?} has no series: write at least one")]
    NoSeries(String),
    #[error("the case {case:?} has labels that are none: {error}")]
    Labels { case: String, error: LabelError },
    #[error("the case {case:?}: {error}")]
    Table { case: String, error: TableError },
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
    /// The series becomes this.
    Verdict(Verdict),
}

impl Case {
    /// Reads a JSON array of cases.
    pub fn read_all(text: &str) -> Result<Vec<Self>, CasesError> {
        let cases: Vec<Self> = serde_json::from_str(text)?;
        if cases.is_empty() { Err(CasesError::None) } else { Ok(cases) }
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
                    differences.extend(series.iter().filter_map(|(labels, verdict)| {
                        let found = trial.apply(labels).map(Outcome::Verdict);
                        let expected = Outcome::Verdict(verdict.clone());
                        Mismatch { labels: Some(labels.clone()), expected, found }.if_it_is_one()
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

impl Mismatch {
    fn if_it_is_one(self) -> Option<Self> {
        let meets = self.found.outcome.as_ref().is_ok_and(|found| *found == self.expected);
        (!meets).then_some(self)
    }
}

/// The form in which people write cases.
mod written {
    use super::*;

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    pub(super) struct Case {
        name: String,
        /// Its lines.
        config: Vec<String>,
        #[serde(default)]
        tables: BTreeMap<String, Table>,
        refused: Option<String>,
        series: Option<Vec<Series>>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        key: String,
        rows: Vec<BTreeMap<String, String>>,
    }

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Series {
        labels: BTreeMap<String, String>,
        verdict: ExpectedVerdict,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum ExpectedVerdict {
        Unchanged,
        /// For this reason.
        Drop(String),
        /// Passed on with these, whole.
        Labels(BTreeMap<String, String>),
    }

    impl TryFrom<Case> for super::Case {
        type Error = CaseError;

        fn try_from(written: Case) -> Result<Self, CaseError> {
            let Case { name, config, tables, refused, series } = written;
            let labels = |pairs: BTreeMap<String, String>| {
                Labels::from_pairs(pairs).map_err(|error| CaseError::Labels { case: name.clone(), error })
            };
            let mut looked_up = Tables::default();
            for (table, Table { key, rows }) in tables {
                let rows = rows.into_iter().map(labels).collect::<Result<_, _>>()?;
                let added = Rows::new(rows).and_then(|rows| looked_up.add(&table, &key, rows));
                added.map_err(|error| CaseError::Table { case: name.clone(), error })?;
            }
            let expected = match (refused, series) {
                (Some(words), None) => Expected::Refused(words),
                (None, Some(series)) if series.is_empty() => return Err(CaseError::NoSeries(name)),
                (None, Some(series)) => {
                    let series = series.into_iter().map(|Series { labels: given, verdict }| {
                        let verdict = match verdict {
                            ExpectedVerdict::Unchanged => Verdict::Unchanged,
                            ExpectedVerdict::Drop(reason) => Verdict::Drop(reason.into()),
                            ExpectedVerdict::Labels(changed) => Verdict::Replace(labels(changed)?),
                        };
                        Ok((labels(given)?, verdict))
                    });
                    Expected::Series(series.collect::<Result<_, CaseError>>()?)
                }
                _ => return Err(CaseError::Purpose(name)),
            };
            Ok(Self { name, config: config.join("\n"), tables: Arc::new(looked_up), expected })
        }
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
            let said = Case::read_all(text).unwrap_err().to_string();
            assert!(said.contains(says), "{text}: {said}");
        }
    }
}
