//! Groups of targets, as they are written in files and answered by servers.

use std::collections::BTreeMap;

use profiler_core::labels::{LabelError, Labels};
use serde::Deserialize;

use super::ADDRESS;

/// Most bytes of the labels of one source's targets. Each target of a group has a copy of the group's.
pub(super) const MAX_LABELS: usize = 64 << 20;

/// Targets and the labels that they have in common.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    #[serde(default)]
    pub(super) targets: Option<Vec<String>>,
    #[serde(default)]
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// Why groups are no targets.
#[derive(Debug, thiserror::Error)]
pub(super) enum GroupsError {
    #[error("is no list of groups in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("group {0}: target {1:?}: {2}")]
    Labels(usize, String, LabelError),
    #[error("the labels of its targets take more than {MAX_LABELS} bytes")]
    TooMany,
}

/// Reads a list of groups.
pub(super) fn from_json(text: &[u8]) -> Result<Vec<Group>, GroupsError> {
    Ok(serde_json::from_slice::<Option<_>>(text)?.unwrap_or_default())
}

/// The targets of groups, each with the label that says where they are from.
pub(super) fn targets(groups: &[Group], source: (&str, &str)) -> Result<Vec<Labels>, GroupsError> {
    let (mut all, mut size) = (Vec::new(), 0);
    for (index, group) in groups.iter().enumerate() {
        let common = group.labels.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
        for address in group.targets.iter().flatten() {
            let own = [(ADDRESS, address.as_str()), source];
            // What stands there later counts.
            let pairs: BTreeMap<&str, &str> = common.clone().chain(own).collect();
            let labels =
                Labels::from_pairs(pairs).map_err(|error| GroupsError::Labels(index, address.clone(), error))?;
            size += labels.byte_len();
            if size > MAX_LABELS {
                return Err(GroupsError::TooMany);
            }
            all.push(labels);
        }
    }
    Ok(all)
}
