//! The labels by which the reference's dashboards tell which of its components a profile comes from.

use profiler_core::labels::{Labels, LabelsBuilder};

const NAME: &str = "otel.scope.name";
const VERSION: &str = "otel.scope.version";

/// Adds the scope of a component to the labels of a profile, which are those given but for its own; what they say of a scope
/// stays.
pub(super) fn add_scope(labels: &mut LabelsBuilder<'_>, given: &Labels, scope: &'static str) {
    let name = given.value(NAME).unwrap_or_default();
    if name.is_empty() {
        labels.set(NAME, scope);
    }
    if (name.is_empty() || name == scope) && given.value(VERSION).unwrap_or_default().is_empty() {
        labels.set(VERSION, concat!("v", env!("CARGO_PKG_VERSION")));
    }
}
