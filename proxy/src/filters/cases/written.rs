//! The form in which people write cases.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use profiler_core::labels::{LabelError, Labels};
use serde::Deserialize;

use super::{CaseError, CasesError, Contents, Expected, Outcome, ProfileAfter};
use crate::filters::{Rows, Tables, Verdict};

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
    rows: Vec<Pairs>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    labels: Pairs,
    /// Its file.
    profile: Option<String>,
    verdict: ExpectedVerdict,
    /// A word, or a file.
    profile_after: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ExpectedVerdict {
    Unchanged,
    /// For this reason.
    Drop(String),
    /// Passed on with these, whole.
    Labels(Pairs),
}

type Pairs = BTreeMap<String, String>;

impl Case {
    pub(super) fn read(self, profile: &impl Fn(&Path) -> Result<Bytes, String>) -> Result<super::Case, CasesError> {
        let Self { name, config, tables, refused, series } = self;
        let parts = || Ok((looked_up(tables)?, expected(refused, series, profile)?));
        match parts() {
            Ok((tables, expected)) => {
                Ok(super::Case { name, config: config.join("\n"), tables: Arc::new(tables), expected })
            }
            Err(error) => Err(CasesError::Case { name, error }),
        }
    }
}

fn looked_up(tables: BTreeMap<String, Table>) -> Result<Tables, CaseError> {
    let mut looked_up = Tables::default();
    for (name, Table { key, rows }) in tables {
        let rows = rows.into_iter().map(labels).collect::<Result<_, _>>()?;
        looked_up.add(&name, &key, Rows::new(rows)?)?;
    }
    Ok(looked_up)
}

fn expected(
    refused: Option<String>,
    series: Option<Vec<Series>>,
    profile: &impl Fn(&Path) -> Result<Bytes, String>,
) -> Result<Expected, CaseError> {
    match (refused, series) {
        (Some(words), None) => Ok(Expected::Refused(words)),
        (None, Some(series)) if series.is_empty() => Err(CaseError::NoSeries),
        (None, Some(series)) => {
            let series = series.into_iter().map(|series| series.read(profile));
            Ok(Expected::Series(series.collect::<Result<_, _>>()?))
        }
        _ => Err(CaseError::Purpose),
    }
}

impl Series {
    fn read(self, read: &impl Fn(&Path) -> Result<Bytes, String>) -> Result<super::Series, CaseError> {
        let verdict = match self.verdict {
            ExpectedVerdict::Unchanged => Verdict::Unchanged,
            ExpectedVerdict::Drop(reason) => Verdict::Drop(reason.into()),
            ExpectedVerdict::Labels(changed) => Verdict::Replace(labels(changed)?),
        };
        let is_dropped = matches!(verdict, Verdict::Drop(_));
        let file = |path: &str| read(Path::new(path)).map_err(CaseError::Unread);
        let after = match (&self.profile, self.profile_after) {
            (None, None) => None,
            (None, Some(_)) => return Err(CaseError::NoProfile),
            (Some(_), None) if is_dropped => None,
            (Some(_), Some(_)) if is_dropped => return Err(CaseError::Dropped),
            (Some(handed), None) => return Err(CaseError::NoProfileAfter(handed.clone())),
            (Some(_), Some(after)) => Some(match &*after {
                "unchanged" => ProfileAfter::Unchanged,
                "empty" => ProfileAfter::Empty,
                path => match Contents::of(&file(path)?) {
                    Ok(contents) => ProfileAfter::Changed(contents),
                    Err(error) => return Err(CaseError::Contents { file: after, error }),
                },
            }),
        };
        let profile = self.profile.as_deref().map(file).transpose()?;
        Ok(super::Series { labels: labels(self.labels)?, profile, outcome: Outcome::Verdict(verdict, after) })
    }
}

fn labels(pairs: Pairs) -> Result<Labels, LabelError> {
    Labels::from_pairs(pairs)
}
