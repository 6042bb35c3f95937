//! Takes out of a profile what none of its samples leads to, and writes each text once.

use std::collections::HashMap;

use rapidhash::fast::RandomState;

use super::Original;
use super::apply::retain;
use crate::pprof::{Function, Label, Mapping, Profile, ValueType};

/// Removes locations, functions, mappings and texts that nothing refers to. Ids and order stay.
pub(super) fn compact(original: &mut Original) {
    let Original { profile, locations, functions, mappings, .. } = original;

    let mut reached = Reached::none_of(profile.location.len());
    for id in profile.sample.iter().flat_map(|sample| &sample.location_id) {
        reached.mark(locations.place(*id));
    }
    retain(&mut profile.location, |place| reached.is(place));

    let mut reached_functions = Reached::none_of(profile.function.len());
    let mut reached_mappings = Reached::none_of(profile.mapping.len());
    reached_mappings.mark(Some(0));
    for location in &profile.location {
        reached_mappings.mark(mappings.place(location.mapping_id));
        for line in &location.line {
            reached_functions.mark(functions.place(line.function_id));
        }
    }
    retain(&mut profile.function, |place| reached_functions.is(place));
    retain(&mut profile.mapping, |place| reached_mappings.is(place));

    intern(profile);
}

/// Writes each text once, the empty one first, and none that nothing refers to.
pub(super) fn intern(profile: &mut Profile) {
    let old = std::mem::take(&mut profile.string_table);
    let mut texts = Texts::of(&old);
    for_each_text(profile, |index| *index = texts.moved(*index).unwrap_or(0));
    profile.string_table = texts.table.into_iter().map(str::to_owned).collect();
}

/// Hands over each index of a text.
pub(super) fn for_each_text(profile: &mut Profile, mut each: impl FnMut(&mut i64)) {
    for ValueType { kind, unit } in profile.sample_type.iter_mut().chain(&mut profile.period_type) {
        [kind, unit].into_iter().for_each(&mut each);
    }
    for Label { key, str, num_unit, .. } in profile.sample.iter_mut().flat_map(|sample| &mut sample.label) {
        [key, str, num_unit].into_iter().for_each(&mut each);
    }
    for Mapping { filename, build_id, .. } in &mut profile.mapping {
        [filename, build_id].into_iter().for_each(&mut each);
    }
    for Function { name, system_name, filename, .. } in &mut profile.function {
        [name, system_name, filename].into_iter().for_each(&mut each);
    }
    let Profile { drop_frames, keep_frames, default_sample_type, doc_url, comment, .. } = profile;
    [drop_frames, keep_frames, default_sample_type, doc_url].into_iter().for_each(&mut each);
    comment.iter_mut().for_each(each);
}

/// The entries of a table that something refers to.
struct Reached(Vec<bool>);

impl Reached {
    fn none_of(count: usize) -> Self {
        Self(vec![false; count])
    }

    fn mark(&mut self, place: Option<usize>) {
        if let Some(mark) = place.and_then(|place| self.0.get_mut(place)) {
            *mark = true;
        }
    }

    fn is(&self, place: usize) -> bool {
        self.0.get(place).copied().unwrap_or(false)
    }
}

/// The new table of strings, from the old one.
struct Texts<'a> {
    old: &'a [String],
    /// For each old index the new one, where it is known.
    moved: Vec<Option<i64>>,
    /// The same by the text: two old indexes may hold the same.
    places: HashMap<&'a str, i64, RandomState>,
    table: Vec<&'a str>,
}

impl<'a> Texts<'a> {
    fn of(old: &'a [String]) -> Self {
        let places = HashMap::from_iter([("", 0)]);
        Self { old, moved: vec![None; old.len()], places, table: vec![""] }
    }

    /// The new index of an old one; none for one that lies outside.
    fn moved(&mut self, old: i64) -> Option<i64> {
        let old = usize::try_from(old).ok()?;
        let moved = self.moved.get_mut(old)?;
        if moved.is_none() {
            let text = self.old.get(old)?.as_str();
            let next = self.table.len() as i64;
            let place = *self.places.entry(text).or_insert(next);
            if place == next {
                self.table.push(text);
            }
            *moved = Some(place);
        }
        *moved
    }
}
