//! A profile as stacks of names: a table of the hottest functions, a flame graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};

use inferno::flamegraph::{Options, from_lines};
use profiler_core::pprof::{Location, Profile, Sample};

/// The stacks of a profile by names, the outermost function first, with nanoseconds.
pub(super) struct Report {
    stacks: BTreeMap<Vec<String>, u64>,
}

const NANOS_PER_MILLI: u64 = 1_000_000;

impl Report {
    pub(super) fn of(profile: &Profile) -> Self {
        let mut stacks: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        for sample in &profile.sample {
            let value = sample.value.first().and_then(|value| u64::try_from(*value).ok()).unwrap_or(0);
            *stacks.entry(stack(profile, sample)).or_default() += value;
        }
        Self { stacks }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }

    /// The functions in which most time was spent: in themselves, and with all that they called.
    pub(super) fn table(&self, most: usize) -> String {
        let mut functions: BTreeMap<&str, [u64; 2]> = BTreeMap::new();
        for (stack, value) in &self.stacks {
            if let Some(innermost) = stack.last() {
                functions.entry(innermost).or_default()[0] += value;
            }
            // One that calls itself is counted once.
            for name in stack.iter().collect::<BTreeSet<_>>() {
                functions.entry(name).or_default()[1] += value;
            }
        }
        let all: u64 = self.stacks.values().sum();
        let mut sorted: Vec<(&str, [u64; 2])> = functions.into_iter().collect();
        sorted.sort_by_key(|(name, [own, with_called])| (std::cmp::Reverse((*own, *with_called)), *name));
        let mut table = String::from("   SELF   TOTAL  FUNCTION\n");
        for (name, [own, with_called]) in sorted.into_iter().take(most) {
            let share = |part: u64| part as f64 * 100.0 / all.max(1) as f64;
            // Writing to a String does not fail.
            let _ = writeln!(table, "{:5.1} % {:5.1} %  {name}", share(own), share(with_called));
        }
        table
    }

    /// Draws a flame graph of milliseconds.
    ///
    /// # Errors
    /// The writer's.
    pub(super) fn draw(&self, title: &str, unit: &str, writer: impl Write) -> io::Result<()> {
        let line = |(stack, value): (&Vec<String>, &u64)| {
            let millis = value.div_ceil(NANOS_PER_MILLI);
            // What separates frames and lines cannot be in them.
            let names: Vec<String> =
                stack.iter().map(|name| name.replace(';', ":").replace(['\n', '\r'], " ")).collect();
            format!("{} {millis}", names.join(";"))
        };
        let lines: Vec<String> = self.stacks.iter().map(line).collect();
        let mut options = Options::default();
        title.clone_into(&mut options.title);
        unit.clone_into(&mut options.count_name);
        from_lines(&mut options, lines.iter().map(String::as_str), writer)
    }
}

fn stack(profile: &Profile, sample: &Sample) -> Vec<String> {
    // Ids are places, counted from 1.
    let location = |id: &u64| usize::try_from(id.checked_sub(1)?).ok().and_then(|place| profile.location.get(place));
    sample.location_id.iter().rev().filter_map(location).flat_map(|location| names(profile, location)).collect()
}

/// The functions at a place, the outermost first; of one without, file and address.
fn names(profile: &Profile, location: &Location) -> Vec<String> {
    let functions = location.line.iter().rev().filter_map(|line| {
        let place = usize::try_from(line.function_id.checked_sub(1)?).ok()?;
        Some(profile.string(profile.function.get(place)?.name).to_owned())
    });
    let mut names: Vec<String> = functions.collect();
    if names.is_empty() {
        let mapping =
            location.mapping_id.checked_sub(1).and_then(|place| profile.mapping.get(usize::try_from(place).ok()?));
        let path = mapping.map_or("", |mapping| profile.string(mapping.filename));
        let file = path.rsplit('/').next().unwrap_or_default();
        names.push(format!("{file}+0x{:x}", location.address));
    }
    names
}

#[cfg(test)]
mod tests {
    use profiler_core::pprof::{Function, Line, Mapping};

    use super::*;

    /// `main` calls `work` (inlined into it `leaf;x`), and an address in a library.
    fn profile() -> Profile {
        let strings = ["", "main", "work", "leaf;x", "/usr/lib/libc.so.6"];
        let function = |id| Function { id, name: id.cast_signed(), ..Function::default() };
        let line = |function_id| Line { function_id, ..Line::default() };
        let location = |id, line: Vec<Line>| Location { id, mapping_id: 1, address: 0x10, line, is_folded: false };
        let sample = |location_id: &[u64], value| Sample {
            location_id: location_id.to_vec(),
            value: vec![value],
            label: vec![],
        };
        Profile {
            string_table: strings.map(String::from).to_vec(),
            function: vec![function(1), function(2), function(3)],
            mapping: vec![Mapping { id: 1, filename: 4, ..Mapping::default() }],
            location: vec![location(1, vec![line(1)]), location(2, vec![line(3), line(2)]), location(3, vec![])],
            sample: vec![sample(&[2, 1], 30_000_000), sample(&[3, 2, 1], 10_000_000)],
            ..Profile::default()
        }
    }

    #[test]
    fn the_hottest_functions_come_first() {
        let table = Report::of(&profile()).table(3);
        let expected = "   SELF   TOTAL  FUNCTION\n 75.0 % 100.0 %  leaf;x\n 25.0 %  25.0 %  libc.so.6+0x10\n  0.0 % 100.0 %  main\n";
        assert_eq!(table, expected);
    }

    #[test]
    fn a_flame_graph_holds_every_name() {
        let mut svg = Vec::new();
        Report::of(&profile()).draw("CPU time", "ms", &mut svg).unwrap();
        let svg = String::from_utf8(svg).unwrap();
        for part in ["<svg", "CPU time", "main (40 ms", "work (40 ms", "leaf:x (40 ms", "libc.so.6+0x10 (10 ms"] {
            assert!(svg.contains(part), "{part}");
        }
    }
}
