//! The series of a JVM's profiles.

use std::fmt;

use profiler_core::labels::{LabelError, Labels, LabelsBuilder, NAME, SERVICE_NAME};

use crate::components::scope::add_scope;
use crate::components::service_name::service_name;

/// The one label of those that begin with `__` that backends take.
const SESSION_ID: &str = "__session_id__";
/// As the reference calls itself: backends know it.
const SPY: &str = "alloy.java";
const SCOPE: &str = "com.grafana.alloy/pyroscope.java";

/// What the labels of all profiles of a target have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series(Labels);

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Series {
    /// # Errors
    /// The labels are too large.
    pub(super) fn of(target: &Labels) -> Result<Self, LabelError> {
        let public = |(name, _): &(&str, &str)| !name.starts_with("__") || *name == SESSION_ID;
        let mut labels: LabelsBuilder<'_> = target.iter().filter(public).collect();
        labels.set(SERVICE_NAME, service_name(target, "java/"));
        labels.set("pyroscope_spy", SPY);
        // What is recorded is the difference already.
        labels.set("__delta__", "false");
        Ok(Self(labels.build()?))
    }

    /// The labels of a profile; `event` is what was sampled, as the recording says.
    ///
    /// # Errors
    /// They are too large.
    pub(super) fn of_profile(&self, name: &str, event: &str) -> Result<Labels, LabelError> {
        let mut labels = self.0.to_builder();
        labels.set(NAME, name);
        labels.set("jfr_event", event);
        add_scope(&mut labels, &self.0, SCOPE);
        labels.build()
    }
}
