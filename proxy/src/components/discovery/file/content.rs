//! What stands in a file: groups of targets, in JSON or YAML.

use std::path::Path;

use profiler_core::labels::Labels;

use super::super::groups::{self, GroupsError};
use super::yaml;

/// The label that says which file a target stands in.
const FILE: &str = "__meta_filepath";

/// Why a file holds no targets.
#[derive(Debug, thiserror::Error)]
pub(super) enum ContentError {
    #[error(transparent)]
    Groups(#[from] GroupsError),
    #[error("is no list of groups in YAML: {0}")]
    Yaml(#[from] yaml::YamlError),
    #[error("is not UTF-8: {0}")]
    NotText(#[from] std::str::Utf8Error),
}

/// The targets of a file, which says by its name how it is written.
pub(super) fn targets(path: &Path, bytes: &[u8]) -> Result<Vec<Labels>, ContentError> {
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let groups = if is_json { groups::from_json(bytes)? } else { yaml::groups(str::from_utf8(bytes)?)? };
    Ok(groups::targets(&groups, (FILE, &path.to_string_lossy()))?)
}
