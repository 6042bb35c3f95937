//! What stands in a file: groups of targets, in JSON or YAML.

use std::collections::BTreeMap;
use std::path::Path;

use profiler_core::labels::{LabelError, Labels};
use serde::Deserialize;

use super::super::ADDRESS;
use super::yaml;

/// The label that says which file a target stands in.
const FILE: &str = "__meta_filepath";
/// Most bytes of the labels of one file's targets. Each target of a group has a copy of the group's.
const MAX_LABELS: usize = 64 << 20;

/// Why a file holds no targets.
#[derive(Debug, thiserror::Error)]
pub(super) enum GroupsError {
    #[error("is no list of groups in JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("is no list of groups in YAML: {0}")]
    Yaml(#[from] yaml::YamlError),
    #[error("is not UTF-8: {0}")]
    NotText(#[from] std::str::Utf8Error),
    #[error("group {0}: target {1:?}: {2}")]
    Labels(usize, String, LabelError),
    #[error("the labels of its targets take more than {MAX_LABELS} bytes")]
    TooMany,
}

/// Targets and the labels that they have in common.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Group {
    #[serde(default)]
    pub(super) targets: Option<Vec<String>>,
    #[serde(default)]
    pub(super) labels: Option<BTreeMap<String, String>>,
}

/// The targets of a file, which says by its name how it is written.
pub(super) fn targets(path: &Path, bytes: &[u8]) -> Result<Vec<Labels>, GroupsError> {
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let groups: Vec<Group> = if is_json {
        serde_json::from_slice::<Option<_>>(bytes)?.unwrap_or_default()
    } else {
        yaml::groups(str::from_utf8(bytes)?)?
    };
    let file = path.to_string_lossy();
    let (mut all, mut size) = (Vec::new(), 0);
    for (index, group) in groups.iter().enumerate() {
        let common = group.labels.iter().flatten().map(|(name, value)| (name.as_str(), value.as_str()));
        for address in group.targets.iter().flatten() {
            let own = [(ADDRESS, address.as_str()), (FILE, &*file)];
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
