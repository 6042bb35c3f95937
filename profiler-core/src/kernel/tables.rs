//! Unwind tables in the kernel, and the rules that do not fit into their rows.

use std::collections::HashMap;

use aya::maps::MapData;

use super::{FillError, MAX_RULES, batch};
use crate::native::unwind::{PackedRule, Row, Rule};

/// Rows that are written at once: 128 KiB.
const CHUNK: usize = 16_384;

/// The rules of all tables, each of them once, for as long as a table names it.
pub(super) struct Rules {
    map: MapData,
    places: Places,
}

impl Rules {
    pub(super) fn new(map: MapData) -> Self {
        Self { map, places: Places::default() }
    }

    /// For each rule of a file its place in the kernel; none where there is no room for one more. They are held until
    /// they are given back.
    pub(super) fn put(&mut self, rules: &[Rule]) -> Result<Vec<Option<u32>>, FillError> {
        let (places, new) = self.places.take(rules);
        let (numbers, words): (Vec<u32>, Vec<[u64; 2]>) =
            new.into_iter().map(|(place, rule)| (place, words(rule))).unzip();
        if let Err(error) = batch::update_places(&self.map, &numbers, words.as_flattened(), 2) {
            self.give_back(&places);
            return Err(error.into());
        }
        Ok(places)
    }

    /// No program may still read a table that names these.
    pub(super) fn give_back(&mut self, places: &[Option<u32>]) {
        for place in places.iter().flatten() {
            self.places.give_back(*place);
        }
    }
}

/// Which rule is where, and how many tables name it.
#[derive(Default)]
struct Places {
    by_rule: HashMap<Rule, u32>,
    taken: Vec<Option<(Rule, u32)>>,
    free: Vec<u32>,
}

impl Places {
    /// The places, and what has to be written.
    fn take(&mut self, rules: &[Rule]) -> (Vec<Option<u32>>, Vec<(u32, Rule)>) {
        let mut new = Vec::new();
        let places = rules
            .iter()
            .map(|rule| {
                if let Some(place) = self.by_rule.get(rule) {
                    if let Some(Some((_, users))) = self.taken.get_mut(*place as usize) {
                        *users = users.saturating_add(1);
                    }
                    return Some(*place);
                }
                let place = self.free_place()?;
                if let Some(taken) = self.taken.get_mut(place as usize) {
                    *taken = Some((*rule, 1));
                }
                self.by_rule.insert(*rule, place);
                new.push((place, *rule));
                Some(place)
            })
            .collect();
        (places, new)
    }

    fn give_back(&mut self, place: u32) {
        let Some(taken) = self.taken.get_mut(place as usize) else { return };
        let Some((rule, users)) = taken else { return };
        *users = users.saturating_sub(1);
        if *users == 0 {
            self.by_rule.remove(rule);
            self.free.push(place);
            *taken = None;
        }
    }

    fn free_place(&mut self) -> Option<u32> {
        if let Some(place) = self.free.pop() {
            return Some(place);
        }
        let place = u32::try_from(self.taken.len()).ok().filter(|_| self.taken.len() < MAX_RULES)?;
        self.taken.push(None);
        Some(place)
    }
}

/// An inner map for so many rows.
pub(super) fn new_table(rows: u32) -> Result<MapData, FillError> {
    // Sizes differ from table to table, which the kernel allows for arrays with this flag alone (from 5.10 on).
    const BPF_F_INNER_MAP: u32 = 1 << 12;
    let array = aya_obj::generated::bpf_map_type::BPF_MAP_TYPE_ARRAY as u32;
    Ok(MapData::create(aya_obj::Map::new_from_params(array, 4, 8, rows, BPF_F_INNER_MAP), "unwind_table", None)?)
}

/// Writes rows; `places` says where in the kernel the file's own rules are.
pub(super) fn fill(table: &MapData, rows: &[Row], places: &[Option<u32>]) -> Result<(), FillError> {
    let mut first = 0;
    for chunk in rows.chunks(CHUNK) {
        let words: Vec<u64> =
            chunk.iter().map(|row| Row { rule: in_kernel(row.rule, places), ..*row }.to_bits()).collect();
        batch::update(table, first, &words, 1)?;
        first = first.saturating_add(u32::try_from(chunk.len()).map_err(|_| FillError::Rows { rows: rows.len() })?);
    }
    Ok(())
}

fn in_kernel(rule: PackedRule, places: &[Option<u32>]) -> PackedRule {
    let Some(index) = rule.index() else { return rule };
    let place = usize::try_from(index).ok().and_then(|index| places.get(index)).copied().flatten();
    place.map_or(PackedRule::UNSUPPORTED, PackedRule::at)
}

fn words(rule: Rule) -> [u64; 2] {
    let number = u128::from_le_bytes(rule.to_bytes());
    [number as u64, (number >> 64) as u64]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::native::unwind::{Cfa, FramePointer, ReturnAddress};

    fn rule(offset: i32) -> Rule {
        let frame_pointer = FramePointer::Unchanged;
        Rule { cfa: Cfa::StackPointer(offset), frame_pointer, return_address: ReturnAddress::AtCfa(-8) }
    }

    fn numbers(places: &[Option<u32>]) -> Vec<u32> {
        places.iter().map(|place| place.unwrap()).collect()
    }

    #[test]
    fn a_rule_is_kept_once_for_as_long_as_a_table_names_it() {
        let mut places = Places::default();
        let (first, new) = places.take(&[rule(1), rule(2)]);
        assert_eq!((numbers(&first), new.len()), (vec![0, 1], 2));
        let (second, new) = places.take(&[rule(2), rule(3)]);
        assert_eq!((numbers(&second), new), (vec![1, 2], vec![(2, rule(3))]));
        for place in numbers(&first) {
            places.give_back(place);
        }
        // That of the second table stays, the other one's place is taken again.
        let (third, new) = places.take(&[rule(4), rule(2)]);
        assert_eq!((numbers(&third), new), (vec![0, 1], vec![(0, rule(4))]));
    }

    #[test]
    fn there_are_no_more_places_than_the_kernel_has() {
        let mut places = Places::default();
        let all: Vec<Rule> = (0..=MAX_RULES as i32).map(rule).collect();
        let (taken, new) = places.take(&all);
        assert_eq!((taken.iter().flatten().count(), new.len()), (MAX_RULES, MAX_RULES));
        assert_eq!(taken.last(), Some(&None));
        places.give_back(7);
        assert_eq!(places.take(&[rule(-1)]).0, [Some(7)]);
    }
}
