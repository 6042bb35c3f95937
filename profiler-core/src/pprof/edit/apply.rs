//! Makes the changes in the decoded message. What nothing refers to any more stays there until it is made compact.

use super::changes::{Changes, Renaming};
use super::labels;
use crate::pprof::{Function, Profile};

/// Whether anything is other than before: a change to what was there already is none.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) anything: bool,
    pub(super) labels: bool,
}

pub(super) fn apply(profile: &mut Profile, mut changes: Changes) -> Applied {
    profile.string_table.extend(std::mem::take(&mut changes.texts).into_iter().map(String::from));

    let mut applied = Applied::default();
    applied.labels = set_labels(profile, &mut changes);
    applied.anything = applied.labels;
    for (place, renaming) in &changes.renamed {
        applied.anything |= rename(profile, *place, renaming);
    }
    if !changes.samples.marks.is_empty() {
        applied.anything = true;
        retain(&mut profile.sample, |place| !changes.samples.has(place));
    }
    if !changes.sample_types.marks.is_empty() {
        applied.anything = true;
        drop_sample_types(profile, |place| !changes.sample_types.has(place));
    }
    applied
}

fn set_labels(profile: &mut Profile, changes: &mut Changes) -> bool {
    let mut changed = false;
    let mut samples = std::mem::take(&mut profile.sample);
    for (place, new) in changes.relabelled.drain() {
        let Some(sample) = samples.get_mut(place) else { continue };
        if labels(profile, &sample.label).ne(labels(profile, &new)) {
            changed = true;
            sample.label = new;
        }
    }
    profile.sample = samples;
    changed
}

fn rename(profile: &mut Profile, place: usize, renaming: &Renaming) -> bool {
    let Some(&Function { name, system_name, filename, .. }) = profile.function.get(place) else { return false };
    let file = renaming.file.unwrap_or(filename);
    let same = |old, new| profile.string(old) == profile.string(new);
    if same(name, renaming.name) && same(system_name, renaming.name) && same(filename, file) {
        return false;
    }
    if let Some(function) = profile.function.get_mut(place) {
        (function.name, function.system_name, function.filename) = (renaming.name, renaming.name, file);
    }
    true
}

fn drop_sample_types(profile: &mut Profile, keeps: impl Fn(usize) -> bool) {
    let names = |profile: &Profile, default: &str| {
        profile.sample_type.iter().any(|sample_type| profile.string(sample_type.kind) == default)
    };
    let default = profile.string(profile.default_sample_type).to_owned();
    let named = names(profile, &default);
    retain(&mut profile.sample_type, &keeps);
    if named && !names(profile, &default) {
        profile.default_sample_type = 0;
    }
    for sample in &mut profile.sample {
        retain(&mut sample.value, &keeps);
    }
}

/// Keeps the entries at these places.
pub(super) fn retain<T>(entries: &mut Vec<T>, keeps: impl Fn(usize) -> bool) {
    let mut places = 0..;
    entries.retain(|_| places.next().is_some_and(&keeps));
}
