//! Merges samples that are equal in stack and labels.

use indexmap::IndexMap;
use rapidhash::fast::RandomState;

use crate::pprof::{Label, Sample};

/// What tells samples apart. Both are moved out of the sample, so that nothing is held twice.
type Key = (Vec<u64>, Vec<Label>);

/// Merges equal samples into the first of them. The order of labels says nothing, and is lost; each text must have one
/// index.
pub(super) fn merge(samples: &mut Vec<Sample>) {
    let mut merged: IndexMap<Key, Vec<i64>, RandomState> = IndexMap::default();
    merged.reserve(samples.len());
    for Sample { location_id, value, mut label } in samples.drain(..) {
        label.sort_unstable_by_key(|label| (label.key, label.str, label.num, label.num_unit));
        let sum = merged.entry((location_id, label)).or_default();
        if sum.is_empty() {
            *sum = value;
        } else {
            add(sum, &value);
        }
    }
    samples.extend(merged.into_iter().map(|((location_id, label), value)| Sample { location_id, value, label }));
}

fn add(sum: &mut Vec<i64>, values: &[i64]) {
    if sum.len() < values.len() {
        sum.resize(values.len(), 0);
    }
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum = sum.saturating_add(*value);
    }
}
