//! Programs that another profiler samples beside ours: both say the same of whole stacks.

// The runtime is for it alone.
#[cfg(target_arch = "x86_64")]
mod hotspot;
mod node;
mod python;

use std::collections::{BTreeMap, BTreeSet};

use super::sampled::{Function, Stack};

/// How many samples the other profiler takes, at least.
const ENOUGH: u64 = 1_000;
/// From how many recordings on they tell how much they differ.
const RECORDINGS: usize = 4;
/// A share is off by so many of its standard deviations once in two million times. In one run a hundred shares are
/// compared.
const SIGMAS: f64 = 5.0;
/// What is rarer in both together counts with all else that is rare: of a few samples the standard deviation says little.
const RARE: f64 = 0.01;

/// How often stacks were seen; the outermost function comes first, each in the form that both profilers' were brought to.
#[derive(Default)]
pub(crate) struct Stacks(BTreeMap<Vec<String>, u64>);

impl Stacks {
    /// Ours, of those that are whole. A function without a form is left out.
    pub(crate) fn sampled(sampled: &[Stack], form: impl Fn(&Function) -> Option<String>) -> Self {
        let mut stacks = Self::default();
        for stack in sampled.iter().filter(|stack| stack.is_whole) {
            stacks.add(stack.functions.iter().rev().filter_map(&form).collect(), stack.count);
        }
        stacks
    }

    pub(crate) fn add(&mut self, stack: Vec<String>, count: u64) {
        if !stack.is_empty() {
            *self.0.entry(stack).or_default() += count;
        }
    }

    /// Lines as flame graphs are made of: functions with semicolons between, and a number.
    pub(crate) fn add_folded(&mut self, lines: &str, form: impl Fn(&str) -> Option<String>) {
        for line in lines.lines() {
            let (stack, count) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no stack: {line}"));
            self.add(stack.split(';').filter_map(&form).collect(), count.parse().unwrap());
        }
    }

    fn total(&self) -> u64 {
        self.0.values().sum()
    }

    fn share(&self, stack: &[String]) -> f64 {
        self.0.get(stack).map_or(0.0, |count| *count as f64 / self.total() as f64)
    }
}

/// What another profiler said, in several recordings.
pub(crate) struct Recorded {
    stacks: Stacks,
    /// As many samples that do not depend on each other would tell as much.
    worth: f64,
}

impl Recorded {
    /// Samples that do not depend on each other: they were taken by the time of the program itself.
    pub(crate) fn independent(stacks: Stacks) -> Self {
        Self { worth: stacks.total() as f64, stacks }
    }

    /// Records again and again until there are enough samples. Where they depend on each other, as those do that come one
    /// upon the other when a profiler is late, recordings differ by more than chance, and more of them are made.
    pub(crate) fn until_enough(mut record: impl FnMut(&mut Stacks)) -> Self {
        let mut recordings = Vec::new();
        loop {
            let mut one = Stacks::default();
            record(&mut one);
            if one.total() > 0 {
                recordings.push(one);
            }
            let mut stacks = Stacks::default();
            for (stack, count) in recordings.iter().flat_map(|one| &one.0) {
                stacks.add(stack.clone(), *count);
            }
            let worth = stacks.total() as f64 / dispersion(&recordings, &stacks);
            if recordings.len() >= RECORDINGS && worth >= ENOUGH as f64 {
                return Self { stacks, worth };
            }
        }
    }
}

/// How much more recordings differ than by chance: Pearson's statistic for each degree of freedom, at least 1.
fn dispersion(recordings: &[Stacks], all: &Stacks) -> f64 {
    let common: Vec<&Vec<String>> = all.0.keys().filter(|stack| all.share(stack) >= RARE).collect();
    let differences = recordings.iter().flat_map(|one| common.iter().map(move |stack| (one, stack)));
    let statistic: f64 = differences
        .map(|(one, stack)| {
            let expected = all.share(stack) * one.total() as f64;
            (one.share(stack) * one.total() as f64 - expected).powi(2) / expected
        })
        .sum();
    (statistic / (recordings.len().saturating_sub(1) * common.len()).max(1) as f64).max(1.0)
}

/// Each stack has the same share of our samples and of theirs, but for chance.
///
/// Ours do not depend on each other: they are taken while the program runs, which goes several ways between two of them.
pub(crate) fn agree(setting: &str, ours: &Stacks, theirs: &Recorded) {
    let (all_ours, all_theirs) = (ours.total() as f64, theirs.worth);
    let theirs = &theirs.stacks;
    assert!(all_ours >= ENOUGH as f64 && all_theirs >= ENOUGH as f64, "{setting}: {all_ours} and {all_theirs} samples");
    let stacks: BTreeSet<&Vec<String>> = ours.0.keys().chain(theirs.0.keys()).collect();
    let of_both =
        |(of_ours, of_theirs): (f64, f64)| (of_ours * all_ours + of_theirs * all_theirs) / (all_ours + all_theirs);
    let mut rare = (0.0, 0.0);
    let mut differences = Vec::new();
    let mut compare = |stack: &str, (of_ours, of_theirs): (f64, f64)| {
        let of_both = of_both((of_ours, of_theirs));
        let deviation = (of_both * (1.0 - of_both) * (1.0 / all_ours + 1.0 / all_theirs)).sqrt();
        let line = format!("{of_ours:.3} {of_theirs:.3} {:+.1} {stack}", (of_ours - of_theirs) / deviation);
        println!("{line}");
        if (of_ours - of_theirs).abs() > SIGMAS * deviation {
            differences.push(line);
        }
    };
    println!("{setting}: {all_ours} samples, {} of theirs, worth {all_theirs}", theirs.total());
    for stack in stacks {
        let shares = (ours.share(stack), theirs.share(stack));
        if of_both(shares) < RARE {
            rare = (rare.0 + shares.0, rare.1 + shares.1);
        } else {
            compare(&stack.join(";"), shares);
        }
    }
    compare("all that is rare", rare);
    assert!(differences.is_empty(), "{setting}: share of ours, of theirs, deviations: {differences:#?}");
}
