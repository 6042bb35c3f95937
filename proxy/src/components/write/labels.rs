//! Which labels reach a backend, and which are refused before.

use std::collections::BTreeMap;

use profiler_core::labels::{LabelError, Labels, NAME, SERVICE_NAME};

use super::by_push::Pushable;

/// Why the labels of a profile are not acceptable; says so in the reference's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidLabels {
    /// No labels at all.
    #[error("invalid labels in profile: service name is required")]
    Empty,
    /// A label without a name.
    #[error("invalid labels in profile: invalid label name: label name is required")]
    NoName,
    /// A character that no backend accepts in a name.
    #[error(
        "invalid labels in profile: invalid label name: invalid label name: {name}: character is not allowed: '{character}'"
    )]
    Name {
        /// The label's name.
        name: String,
        /// The first such character.
        character: char,
    },
    /// Labels that are none.
    #[error("invalid labels in profile: {0}")]
    Set(#[from] LabelError),
}

/// Refuses what backends refuse; looks at every label, also at those that are never sent.
pub(super) fn validate(labels: &Labels) -> Result<(), InvalidLabels> {
    if labels.is_empty() {
        return Err(InvalidLabels::Empty);
    }
    for (name, _) in labels.iter() {
        if name.is_empty() {
            return Err(InvalidLabels::NoName);
        }
        let refused = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '.')));
        if let Some(character) = refused {
            return Err(InvalidLabels::Name { name: name.to_owned(), character });
        }
    }
    Ok(())
}

/// The labels of a push: reserved ones stay here, external ones overwrite.
pub(super) fn for_push(labels: &Labels, external: &BTreeMap<String, String>) -> Result<Labels, LabelError> {
    let sent = |name: &str| !name.starts_with("__") || name == NAME || name == "__delta__";
    if external.is_empty() && labels.iter().all(|(name, _)| sent(name)) {
        return Ok(labels.clone());
    }
    let mut kept: profiler_core::labels::LabelsBuilder<'_> = labels.iter().filter(|(name, _)| sent(name)).collect();
    external.iter().for_each(|(name, value)| kept.set(name, value));
    kept.build()
}

/// The labels of `/ingest`: nothing stays here, and the service's name stands before the braces.
pub(super) fn for_ingest(labels: &Labels, external: &BTreeMap<String, String>) -> Result<Labels, LabelError> {
    let mut sent = labels.to_builder();
    if let Some(service) = labels.value(SERVICE_NAME).filter(|service| !service.is_empty()) {
        sent.set(NAME, service);
    }
    external.iter().for_each(|(name, value)| sent.set(name, value));
    sent.build()
}

/// The labels under which a server keeps a single pprof of `/ingest`, for sending it by push: those for `/ingest`, under the
/// profile's own name.
pub(super) fn for_ingest_by_push(
    labels: &Labels,
    external: &BTreeMap<String, String>,
    profile: &Pushable,
) -> Result<Labels, LabelError> {
    let ingested = for_ingest(labels, external)?;
    let sent = |name: &str| !name.starts_with("__") || name == "__session_id__";
    let mut kept: profiler_core::labels::LabelsBuilder<'_> = ingested.iter().filter(|(name, _)| sent(name)).collect();
    kept.set(NAME, profile.name);
    kept.set("__delta__", "false");
    kept.set("pyroscope_spy", &profile.spy);
    if ingested.value(SERVICE_NAME).is_none() {
        kept.set(SERVICE_NAME, ingested.value(NAME).unwrap_or_default());
    }
    kept.build()
}

#[cfg(test)]
mod tests;
