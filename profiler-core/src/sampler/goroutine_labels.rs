//! Labels that programs give what they work at: as many as a program likes, so that they are bounded here.

use std::collections::{HashMap, HashSet};

use crate::kernel::Sample;

/// Different sets of labels of one process, from one collection to the next. Programs may label each request.
const MAX_SETS: usize = 1024;

/// Labels of one sample, in the order of their keys and each key once: as the kernel hands them over, so that sets that are
/// the same are the same bytes. `into` is overwritten.
pub(super) fn pack(sample: &Sample<'_>, into: &mut Vec<u8>) {
    into.clear();
    let mut labels: Vec<(&[u8], &[u8])> = sample.labels().filter(|(_, value)| !value.is_empty()).collect();
    labels.sort_unstable();
    labels.dedup_by_key(|(key, _)| *key);
    for (key, value) in labels {
        // They came with lengths of one byte.
        into.extend([key.len() as u8, value.len() as u8]);
        into.extend(key);
        into.extend(value);
    }
}

/// The labels of such bytes as texts. What is not UTF-8 is replaced, and a character that was cut off is left out.
pub(super) fn texts(mut packed: &[u8]) -> Box<[(Box<str>, Box<str>)]> {
    let mut labels = Vec::new();
    while let [key, value, rest @ ..] = packed {
        let Some((key, rest)) = rest.split_at_checked((*key).into()) else { break };
        let Some((value, rest)) = rest.split_at_checked((*value).into()) else { break };
        labels.push((text(key), text(value)));
        packed = rest;
    }
    labels.into()
}

fn text(bytes: &[u8]) -> Box<str> {
    let whole = match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() => bytes.get(..error.valid_up_to()).unwrap_or_default(),
        _ => bytes,
    };
    String::from_utf8_lossy(whole).into()
}

/// The sets of labels that there are, by process.
#[derive(Debug, Default)]
pub(super) struct LabelSets {
    of: HashMap<u32, HashSet<Box<[u8]>>>,
    /// Samples whose labels were left out.
    refused: u64,
}

impl LabelSets {
    /// Whether there is room for a set; counted where there is not.
    pub(super) fn take(&mut self, pid: u32, labels: &[u8]) -> bool {
        if labels.is_empty() {
            return true;
        }
        let sets = self.of.entry(pid).or_default();
        if !sets.contains(labels) {
            if sets.len() >= MAX_SETS {
                self.refused += 1;
                return false;
            }
            sets.insert(labels.into());
        }
        true
    }

    /// After a collection there is room again.
    pub(super) fn clear(&mut self) {
        self.of.clear();
    }

    pub(super) fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_so_many_sets_and_others_have_theirs() {
        let mut sets = LabelSets::default();
        for number in 0..MAX_SETS {
            assert!(sets.take(1, &number.to_le_bytes()));
        }
        assert!(sets.take(1, &7usize.to_le_bytes()), "one that is known");
        assert!(!sets.take(1, b"one more"));
        assert!(sets.take(1, b"") && sets.take(2, b"one more"));
        assert_eq!(sets.refused(), 1);
        sets.clear();
        assert!(sets.take(1, b"one more"));
    }

    #[test]
    fn labels_become_texts() {
        let labels = texts(b"\x01\x03ka\xc3\xa4\x01\x03lb\xc3\xa4\x01\x02mc\xc3\x01\x02n\xffd\x01");
        let expected = [("k", "aä"), ("l", "bä"), ("m", "c"), ("n", "\u{fffd}d")];
        let labels: Vec<(&str, &str)> = labels.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(labels, expected);
    }
}
