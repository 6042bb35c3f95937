//! Samples of pprof messages, added to a tree.

use std::collections::HashMap;

use rapidhash::fast::RandomState;

use super::{MOST_NODES, Place, ROOT, Side, TreeBuilder};
use crate::pprof::{Location, Profile};

/// A kind of values, such as `cpu` in `nanoseconds`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SampleType {
    /// For example `inuse_space`.
    pub kind: String,
    /// For example `bytes`; may be empty.
    pub unit: String,
}

impl SampleType {
    /// Those of a profile, in its order.
    #[must_use]
    pub fn all(profile: &Profile) -> Vec<Self> {
        let text = |place| profile.string(place).to_owned();
        profile.sample_type.iter().map(|of| Self { kind: text(of.kind), unit: text(of.unit) }).collect()
    }

    /// The one that a profile wants to be shown first: the last one, unless it says otherwise.
    #[must_use]
    pub fn default_of(profile: &Profile) -> Option<Self> {
        let mut all = Self::all(profile);
        let wanted = profile.string(profile.default_sample_type);
        match all.iter().position(|of| !wanted.is_empty() && of.kind == wanted) {
            Some(place) => Some(all.swap_remove(place)),
            None => all.pop(),
        }
    }
}

impl TreeBuilder {
    /// Adds the samples of a profile with their values of this kind; `false` where it has no such values. Values below 0
    /// count as none.
    pub fn add_pprof(&mut self, profile: &Profile, kind: &str, side: Side) -> bool {
        let kinds = &profile.sample_type;
        let Some(value) = kinds.iter().position(|of| profile.string(of.kind) == kind) else { return false };
        let frames = Frames::of(self, profile);
        // Where a location leads from each place in the tree.
        let mut steps: HashMap<u64, Place, RandomState> = HashMap::default();
        // Of the sample before: its locations, the outermost first, and where each of them ends in the tree.
        let mut trodden: Vec<(u64, Place)> = Vec::new();
        for sample in &profile.sample {
            let Some(value) = sample.value.get(value).and_then(|value| u64::try_from(*value).ok()) else { continue };
            if value == 0 {
                continue;
            }
            let stack = || sample.location_id.iter().rev();
            let same = trodden.iter().zip(stack()).take_while(|((before, _), now)| before == *now).count();
            trodden.truncate(same);
            let mut place = trodden.last().map_or(ROOT, |(_, place)| *place);
            'stack: for id in stack().skip(same) {
                let Some(location) = frames.by_id.place(*id) else {
                    trodden.push((*id, place));
                    continue;
                };
                let step = u64::from(place) << 32 | location as u64;
                place = match steps.get(&step) {
                    Some(known) => *known,
                    None => {
                        let mut next = place;
                        for name in frames.at(location) {
                            // Cut short, this way must not be taken for the whole of another stack's.
                            let Some(callee) = name.and_then(|name| self.callee(next, name)) else {
                                place = next;
                                break 'stack;
                            };
                            next = callee;
                        }
                        if steps.len() < MOST_NODES {
                            steps.insert(step, next);
                        }
                        next
                    }
                };
                trodden.push((*id, place));
            }
            self.count(place, value, side);
        }
        true
    }
}

/// The names of the functions at each location, the outermost first; `None` for those that the tree has no room for.
struct Frames {
    names: Vec<Option<u32>>,
    /// Where in `names` those of a location begin and end.
    spans: Vec<(u32, u32)>,
    by_id: Ids,
}

impl Frames {
    fn of(tree: &mut TreeBuilder, profile: &Profile) -> Self {
        let functions = Ids::of(profile.function.iter().map(|function| function.id));
        let mappings = Ids::of(profile.mapping.iter().map(|mapping| mapping.id));
        let function_names: Vec<Option<u32>> = profile
            .function
            .iter()
            .map(|function| {
                let names = [function.name, function.system_name].map(|name| profile.string(name));
                tree.name(names.into_iter().find(|name| !name.is_empty()).unwrap_or("[unknown]"))
            })
            .collect();
        let (mut names, mut spans) = (Vec::new(), Vec::with_capacity(profile.location.len()));
        for location in &profile.location {
            let begin = names.len() as u32;
            let lines = location.line.iter().rev();
            names.extend(lines.filter_map(|line| function_names.get(functions.place(line.function_id)?)));
            if names.len() as u32 == begin {
                names.push(tree.name(&address(profile, &mappings, location)));
            }
            spans.push((begin, names.len() as u32));
        }
        Self { names, spans, by_id: Ids::of(profile.location.iter().map(|location| location.id)) }
    }

    /// None of a location that is not in the profile.
    fn at(&self, location: usize) -> impl Iterator<Item = Option<u32>> {
        let (begin, end) = self.spans.get(location).copied().unwrap_or_default();
        self.names.get(begin as usize..end as usize).unwrap_or_default().iter().copied()
    }
}

/// What is known of a place without functions.
fn address(profile: &Profile, mappings: &Ids, location: &Location) -> String {
    let mapping = mappings.place(location.mapping_id).and_then(|place| profile.mapping.get(place));
    let path = mapping.map_or("", |mapping| profile.string(mapping.filename));
    let file = path.rsplit('/').next().unwrap_or_default();
    if file.is_empty() { format!("0x{:x}", location.address) } else { format!("{file}+0x{:x}", location.address) }
}

/// Where the entries of a table stand, by their ids.
enum Ids {
    /// Counted from 1, as almost all profiles have it.
    InOrder(usize),
    Table(HashMap<u64, usize, RandomState>),
}

impl Ids {
    fn of(ids: impl ExactSizeIterator<Item = u64> + Clone) -> Self {
        if ids.clone().zip(1..).all(|(id, place)| id == place) {
            return Self::InOrder(ids.len());
        }
        Self::Table(ids.enumerate().map(|(place, id)| (id, place)).collect())
    }

    fn place(&self, id: u64) -> Option<usize> {
        match self {
            Self::InOrder(length) => usize::try_from(id.checked_sub(1)?).ok().filter(|place| place < length),
            Self::Table(table) => table.get(&id).copied(),
        }
    }
}
