//! Unwind tables in the kernel, and the rules that do not fit into their rows.

use std::collections::HashMap;

use aya::maps::MapData;

use super::{FillError, MAX_RULES, batch};
use crate::native::unwind::{PackedRule, Row, Rule};

/// Rows that are written at once: 128 KiB.
const CHUNK: usize = 16_384;

/// The rules of all tables, each of them once. They stay: files come and go, but share most of theirs.
pub(super) struct Rules {
    map: MapData,
    places: HashMap<Rule, u32>,
}

impl Rules {
    pub(super) fn new(map: MapData) -> Self {
        Self { map, places: HashMap::new() }
    }

    /// For each rule of a file its place in the kernel; none where there is no room for one more.
    pub(super) fn put(&mut self, rules: &[Rule]) -> Result<Vec<Option<u32>>, FillError> {
        let mut new: Vec<u64> = Vec::new();
        let first = self.places.len();
        let places = rules
            .iter()
            .map(|rule| {
                if let Some(place) = self.places.get(rule) {
                    return Some(*place);
                }
                let place = u32::try_from(self.places.len()).ok().filter(|_| self.places.len() < MAX_RULES)?;
                self.places.insert(*rule, place);
                new.extend(words(*rule));
                Some(place)
            })
            .collect();
        let first = u32::try_from(first).map_err(|_| FillError::Rules)?;
        if let Err(error) = batch::update(&self.map, first, &new, 2) {
            self.places.retain(|_, place| *place < first);
            return Err(error.into());
        }
        Ok(places)
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
