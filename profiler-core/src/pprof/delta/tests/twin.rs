//! Random processes, profile by profile, against a reckoning that knows no ids, tables or hashes.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::pprof::{Function, Line, Location, Mapping, Sample};

const PROCESSES: u64 = 300;
const PROFILES: u64 = 12;

/// A stack and what was measured.
#[derive(Debug, Clone)]
pub(super) struct Stack {
    frames: Vec<String>,
    values: Vec<i64>,
}

/// What a profile says: for each stack, with its labels, the sum of values.
type Said = BTreeMap<String, Vec<i64>>;

pub(super) struct Random(u64);

impl Stack {
    /// Of frames `leaf;caller`.
    pub(super) fn of(frames: &str, values: &[i64]) -> Self {
        Self { frames: frames.split(';').map(str::to_owned).collect(), values: values.to_vec() }
    }
}

/// A profile of types such as `alloc_space/bytes`.
pub(super) fn profile(types: &[&str], stacks: &[Stack]) -> Profile {
    shuffled(types, stacks, &mut Random::of(1))
}

/// Ids and indexes are anything, as in a profiler that numbers anew each time.
fn shuffled(types: &[&str], stacks: &[Stack], random: &mut Random) -> Profile {
    let mut profile = Profile { string_table: vec![String::new()], ..Profile::default() };
    for kind in types {
        let (kind, unit) = kind.split_once('/').unwrap();
        profile.string_table.extend([kind.to_owned(), unit.to_owned()]);
        let last = profile.string_table.len() as i64 - 1;
        profile.sample_type.push(ValueType { kind: last - 1, unit: last });
    }
    let start = if random.below(2) == 0 { 1 } else { 1 + random.below(1000) };
    profile.mapping =
        vec![Mapping { id: start, ..Mapping::default() }, Mapping { id: start + 1, ..Mapping::default() }];
    let mut names: Vec<&String> = stacks.iter().flat_map(|stack| &stack.frames).collect();
    names.sort();
    names.dedup();
    let first = random.below(names.len() as u64 + 1) as usize;
    names.rotate_left(first);
    let mut ids = BTreeMap::new();
    for (name, id) in names.into_iter().zip(start..) {
        profile.string_table.push(name.clone());
        let name_index = profile.string_table.len() as i64 - 1;
        profile.function.push(Function { id, name: name_index, system_name: name_index, ..Function::default() });
        let line = Line { function_id: id, line: 7, column: 0 };
        profile.location.push(Location { id, mapping_id: start + id % 2, line: vec![line], ..Location::default() });
        ids.insert(name, id);
    }
    // Which mapping a function lies in is its own.
    for (location, function) in profile.location.iter_mut().zip(&profile.function) {
        let name = &profile.string_table[usize::try_from(function.name).unwrap()];
        location.mapping_id = start + name.len() as u64 % 2;
    }
    if random.below(2) == 0 {
        profile.location.reverse();
        profile.function.reverse();
    }
    for stack in stacks {
        let location_id = stack.frames.iter().map(|frame| ids[frame]).collect();
        profile.sample.push(Sample { location_id, value: stack.values.clone(), label: vec![] });
    }
    profile
}

/// What a profile says, without the stacks of which it says nothing.
pub(super) fn said(profile: &Profile) -> Said {
    let mut said = of_all(profile);
    said.retain(|_, values| values.iter().any(|value| *value != 0));
    said
}

fn of_all(profile: &Profile) -> Said {
    let location = |id: &u64| {
        let location = profile.location.iter().find(|location| location.id == *id).unwrap();
        let frames = location.line.iter().map(|line| {
            let function = profile.function.iter().find(|function| function.id == line.function_id).unwrap();
            format!("{}:{}", profile.string(function.name), line.line)
        });
        format!("{:x} {}", location.address, frames.collect::<Vec<_>>().join(","))
    };
    let locations: BTreeMap<u64, String> = profile.location.iter().map(|each| (each.id, location(&each.id))).collect();
    let mut said = Said::new();
    for sample in &profile.sample {
        let frames: Vec<_> = sample.location_id.iter().map(|id| locations[id].as_str()).collect();
        let text = |index| profile.string(index);
        let labels = sample.label.iter();
        let labels =
            labels.map(|label| format!("{}={}{}{}", text(label.key), text(label.str), label.num, text(label.num_unit)));
        let mut labels: Vec<_> = labels.collect();
        labels.sort();
        let sum = said.entry(format!("{frames:?}{labels:?}")).or_insert_with(|| vec![0; sample.value.len()]);
        sum.iter_mut().zip(&sample.value).for_each(|(sum, value)| *sum += value);
    }
    said
}

/// What the twin remembers: the last value of each stack, and how many profiles ago it was there.
#[derive(Default)]
struct Twin {
    stacks: BTreeMap<String, (Vec<i64>, u32)>,
}

impl Twin {
    /// None where a counter fell.
    fn delta(&mut self, now: &Said, counters: usize) -> Option<Said> {
        let before = |key: &String, column| self.stacks.get(key).map_or(0, |(values, _)| values[column]);
        let fell = now.iter().any(|(key, values)| (0..counters).any(|column| values[column] < before(key, column)));
        let mut delta = now.clone();
        for (key, values) in &mut delta {
            (0..counters).for_each(|column| values[column] -= before(key, column));
        }
        delta.retain(|_, values| values.iter().any(|value| *value != 0));
        if fell {
            self.stacks.clear();
        }
        self.stacks.values_mut().for_each(|(_, away)| *away += 1);
        for (key, values) in now {
            self.stacks.insert(key.clone(), (values.clone(), 0));
        }
        self.stacks.retain(|_, (_, away)| *away <= 3);
        (!fell).then_some(delta)
    }
}

#[test]
fn deltas_say_what_the_twin_says() {
    let (mut compared, mut fallen, mut empty) = (0, 0, 0);
    for seed in 1..=PROCESSES {
        let mut random = Random::of(seed);
        let mut process = Process::random(&mut random);
        let mut series = memory().series(ALLOCATIONS);
        let mut twin = Twin::default();
        for place in 0..PROFILES {
            process.run(&mut random);
            let profile = process.profile(&mut random);
            let expected = twin.delta(&of_all(&profile), 2);
            let context = format!("process {seed}, profile {place}");
            match (series.delta(&bytes(&profile), 0).unwrap(), expected) {
                (Delta::Begins(cause), _) if place == 0 => assert_eq!(cause, Cause::First, "{context}"),
                (Delta::Begins(cause), expected) => {
                    assert_eq!((cause, expected), (Cause::Fell, None), "{context}");
                    fallen += 1;
                }
                (Delta::Empty, expected) => {
                    assert_eq!(expected, Some(Said::new()), "{context}");
                    empty += 1;
                }
                (Delta::Profile(bytes), expected) => {
                    let delta = Profile::from_bytes(&bytes, 1 << 20).unwrap();
                    assert_eq!(Some(said(&delta)), expected, "{context}");
                    assert_eq!(said(&delta).len(), delta.sample.len(), "{context}: a stack stands once");
                    check_tables(&delta, &context);
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 1500 && fallen > 100 && empty > 20, "{compared} compared, {fallen} fallen, {empty} empty");
}

/// All that stands in a table is referred to, but for the first mapping.
fn check_tables(profile: &Profile, context: &str) {
    let used: BTreeSet<u64> = profile.sample.iter().flat_map(|sample| sample.location_id.clone()).collect();
    assert!(profile.location.iter().all(|location| used.contains(&location.id)), "{context}");
    let lines = profile.location.iter().flat_map(|location| &location.line);
    let used: BTreeSet<u64> = lines.map(|line| line.function_id).collect();
    assert!(profile.function.iter().all(|function| used.contains(&function.id)), "{context}");
    let used: BTreeSet<u64> = profile.location.iter().map(|location| location.mapping_id).collect();
    assert!(profile.mapping.iter().skip(1).all(|mapping| used.contains(&mapping.id)), "{context}");
    let functions = profile.function.iter().flat_map(|function| [function.name, function.system_name]);
    let types = profile.sample_type.iter().flat_map(|kind| [kind.kind, kind.unit]);
    let used: BTreeSet<i64> = functions.chain(types).collect();
    for (text, index) in profile.string_table.iter().zip(0..) {
        assert!(text.is_empty() || used.contains(&index), "{context}: nothing refers to {text:?}");
    }
}

/// Some stacks, what each has counted, and for how many profiles it is not to be seen.
struct Process(Vec<(Stack, u64)>);

impl Process {
    fn random(random: &mut Random) -> Self {
        let stacks = (0..random.below(12)).map(|_| {
            let frames: Vec<_> = (0..=random.below(3)).map(|_| format!("f{}", random.below(6))).collect();
            (Stack::of(&frames.join(";"), &[0; 4]), 0)
        });
        Self(stacks.collect())
    }

    /// Most runs change few stacks; of some processes a few begin again at nothing.
    fn run(&mut self, random: &mut Random) {
        let again = random.below(12) == 0;
        let idle = random.below(8) == 0;
        for (stack, away) in &mut self.0 {
            *away = if *away == 0 && random.below(10) == 0 { random.below(7) } else { away.saturating_sub(1) };
            if again {
                stack.values = vec![0; 4];
            }
            if !idle && random.below(2) == 0 {
                let grown = random.below(1000) as i64;
                stack.values[0] += grown;
                stack.values[1] += 100 * grown;
            }
            stack.values[2] = if idle { 0 } else { random.below(3) as i64 };
            stack.values[3] = 64 * stack.values[2];
        }
    }

    fn profile(&self, random: &mut Random) -> Profile {
        let mut seen: Vec<_> = self.0.iter().filter(|(_, away)| *away == 0).map(|(stack, _)| stack.clone()).collect();
        let first = random.below(seen.len() as u64 + 1) as usize;
        seen.rotate_left(first);
        let kinds = ["alloc_objects/count", "alloc_space/bytes", "inuse_objects/count", "inuse_space/bytes"];
        shuffled(&kinds, &seen, random)
    }
}

impl Random {
    pub(super) fn of(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Xorshift: the same profiles on every run.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        if limit == 0 { 0 } else { self.0 % limit }
    }
}
