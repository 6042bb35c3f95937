//! The rule by which a received series gets its `service_name`.

use profiler_core::labels::{LabelsBuilder, NAME, SERVICE_NAME};

/// A series without `service_name` takes its `__name__` for it. One that has the label (`given`, which on `/ingest`
/// includes an empty one) gets its `__name__` as `app_name` instead, and loses `app_name` where it has no `__name__`.
///
/// Copied from the reference as it is: dashboards rely on both labels.
pub(super) fn apply(labels: &mut LabelsBuilder<'_>, given: bool) {
    let name = labels.value(NAME).unwrap_or_default().to_owned();
    labels.set(if given { "app_name" } else { SERVICE_NAME }, name);
}
