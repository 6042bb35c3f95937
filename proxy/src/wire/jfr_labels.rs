//! The dynamic labels of the Java SDK, which it sends beside a JFR: an event names a context, a context its labels.
//!
//! The message is `LabelsSnapshot` of github.com/grafana/jfr-parser, declared by hand.

use std::collections::{BTreeMap, BTreeSet};

use profiler_core::jfr::Contexts;
use prost::{DecodeError, Message};

/// Bytes that an entry takes once it is decoded, for each of its own: the shortest text of four bytes becomes 48.
pub const DECODED: usize = 16;

/// All contexts of a recording, and the texts that they refer to.
#[derive(Clone, PartialEq, Message)]
pub struct LabelsSnapshot {
    /// By the context's id.
    #[prost(btree_map = "int64, message", tag = "1")]
    contexts: BTreeMap<i64, Context>,
    /// By the text's id.
    #[prost(btree_map = "int64, string", tag = "2")]
    strings: BTreeMap<i64, String>,
}

/// What was set while events happened.
#[derive(Clone, PartialEq, Message)]
pub struct Context {
    /// From the id of a name to the id of a value.
    #[prost(btree_map = "int64, int64", tag = "1")]
    labels: BTreeMap<i64, i64>,
}

/// For each context that changes, its new labels, by the context's id.
pub type NewLabels = BTreeMap<i64, Vec<(String, String)>>;

impl LabelsSnapshot {
    /// Reads it, decompressed.
    pub fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        Self::decode(bytes)
    }

    /// The ids of all contexts, and their labels. A label whose name or value is missing is left out, and a name may
    /// come twice: ids are the sender's.
    pub fn contexts(&self) -> impl Iterator<Item = (i64, Vec<(&str, &str)>)> {
        self.contexts.iter().map(|(id, context)| {
            let text = |id| self.strings.get(id).map(String::as_str);
            let labels = context.labels.iter().filter_map(|(name, value)| Some((text(name)?, text(value)?)));
            (*id, labels.collect())
        })
    }

    /// As the reader of recordings knows them.
    pub fn into_contexts(self) -> Contexts {
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let labels = self.contexts().map(|(id, labels)| (id, labels.into_iter().map(owned).collect())).collect();
        Contexts { labels, texts: self.strings }
    }

    /// Changes contexts. Texts that only they referred to go.
    pub fn change(&mut self, changes: NewLabels) {
        let mut ids: BTreeMap<String, i64> = self.strings.iter().map(|(id, text)| (text.clone(), *id)).collect();
        let mut free = i64::MIN;
        for (context, labels) in changes {
            let Some(context) = self.contexts.get_mut(&context) else { continue };
            let mut id = |text: String| {
                *ids.entry(text).or_insert_with_key(|text| {
                    // There are more ids than any body has bytes: one is free.
                    while self.strings.contains_key(&free) {
                        free = free.wrapping_add(1);
                    }
                    self.strings.insert(free, text.clone());
                    free
                })
            };
            context.labels = labels.into_iter().map(|(name, value)| (id(name), id(value))).collect();
        }
        let labels = self.contexts.values().flat_map(|context| &context.labels);
        let used: BTreeSet<i64> = labels.flat_map(|(name, value)| [*name, *value]).collect();
        self.strings.retain(|id, _| used.contains(id));
    }

    /// Its bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_change_and_texts_that_nothing_names_go() {
        let text = |id: i64, text: &str| (id, text.to_owned());
        let context = |labels: &[(i64, i64)]| Context { labels: labels.iter().copied().collect() };
        let snapshot = LabelsSnapshot {
            contexts: BTreeMap::from([
                (7, context(&[(1, 2), (3, 99)])),
                (8, context(&[(1, 3)])),
                (9, context(&[(3, 3)])),
            ]),
            strings: BTreeMap::from([text(1, "user"), text(2, "alice"), text(3, "team"), text(i64::MIN, "unused")]),
        };
        let mut snapshot = LabelsSnapshot::read(&snapshot.to_bytes()).unwrap();
        let contexts: Vec<_> = snapshot.contexts().collect();
        let shown = [(7, vec![("user", "alice")]), (8, vec![("user", "team")]), (9, vec![("team", "team")])];
        assert_eq!(contexts, shown);

        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        snapshot.change(BTreeMap::from([(7, vec![label("team", "pay")]), (8, vec![]), (44, vec![label("no", "one")])]));
        let snapshot = LabelsSnapshot::read(&snapshot.to_bytes()).unwrap();
        let contexts: Vec<_> = snapshot.contexts().collect();
        assert_eq!(contexts, [(7, vec![("team", "pay")]), (8, vec![]), (9, vec![("team", "team")])]);
        assert_eq!(snapshot.strings.into_values().collect::<BTreeSet<_>>(), ["pay", "team"].map(String::from).into());
    }
}
