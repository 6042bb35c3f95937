//! The labels that come beside a JFR: the dynamic labels of the Java SDK.

use std::collections::HashMap;

use prost::Message;

/// What the part `labels` of a form holds.
#[derive(Clone, PartialEq, Message)]
pub struct LabelsSnapshot {
    /// By number: events of the JFR name them.
    #[prost(map = "int64, message", tag = "1")]
    pub contexts: HashMap<i64, Context>,
    /// By number.
    #[prost(map = "int64, string", tag = "2")]
    pub strings: HashMap<i64, String>,
}

/// Labels: the numbers of their names' strings, and of their values'.
#[derive(Clone, PartialEq, Message)]
pub struct Context {
    /// Value by name.
    #[prost(map = "int64, int64", tag = "1")]
    pub labels: HashMap<i64, i64>,
}

impl Context {
    /// Of names and values.
    pub fn of(labels: &[(i64, i64)]) -> Self {
        Self { labels: labels.iter().copied().collect() }
    }
}

impl LabelsSnapshot {
    /// The labels of a context as text, sorted. None where there is no such context or string.
    pub fn shown(&self, context: i64) -> Option<Vec<(&str, &str)>> {
        let text = |id: &i64| self.strings.get(id).map(String::as_str);
        let pairs = self.contexts.get(&context)?.labels.iter().map(|(name, value)| Some((text(name)?, text(value)?)));
        let mut shown = pairs.collect::<Option<Vec<_>>>()?;
        shown.sort_unstable();
        Some(shown)
    }
}
