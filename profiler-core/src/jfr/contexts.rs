//! Labels that are not in a recording but beside it.

use std::collections::BTreeMap;

/// The labels of the Java SDK: samples name a context, a context its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contexts {
    /// The labels of a context by its id, which is a signed number there.
    pub labels: BTreeMap<i64, Vec<(String, String)>>,
    /// Texts by id: names of spans are among them.
    pub texts: BTreeMap<i64, String>,
}

impl Contexts {
    pub(super) fn labels(&self, context: u64) -> impl Iterator<Item = (&str, &str)> {
        let labels = self.labels.get(&context.cast_signed()).into_iter().flatten();
        labels.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    pub(super) fn text(&self, id: u64) -> Option<&str> {
        self.texts.get(&id.cast_signed()).map(String::as_str).filter(|text| !text.is_empty())
    }
}
