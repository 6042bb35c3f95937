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
/// A share is off by so many of its standard deviations once in two million times. In one run a hundred shares are
/// compared.
const SIGMAS: f64 = 5.0;
/// What is rarer counts with all else that is rare: of a few samples the standard deviation says little.
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

/// Records again and again until there are enough samples.
pub(crate) fn until_enough(mut record: impl FnMut(&mut Stacks)) -> Stacks {
    let mut stacks = Stacks::default();
    while stacks.total() < ENOUGH {
        record(&mut stacks);
    }
    stacks
}

/// Each stack has the same share of our samples and of theirs, but for chance.
///
/// Samples of one profiler hardly depend on each other: between two of them each program goes several ways. Where they
/// do, ours depend on theirs as much, for both look at the same run, and the shares are nearer than is asked for.
pub(crate) fn agree(setting: &str, ours: &Stacks, theirs: &Stacks) {
    let (all_ours, all_theirs) = (ours.total() as f64, theirs.total() as f64);
    assert!(all_ours >= ENOUGH as f64 && all_theirs >= ENOUGH as f64, "{setting}: {all_ours} and {all_theirs} samples");
    let stacks: BTreeSet<&Vec<String>> = ours.0.keys().chain(theirs.0.keys()).collect();
    let mut rare = (0.0, 0.0);
    let mut differences = Vec::new();
    let mut compare = |stack: &str, (of_ours, of_theirs): (f64, f64)| {
        let of_both = (of_ours * all_ours + of_theirs * all_theirs) / (all_ours + all_theirs);
        let deviation = (of_both * (1.0 - of_both) * (1.0 / all_ours + 1.0 / all_theirs)).sqrt();
        let line = format!("{of_ours:.3} {of_theirs:.3} {:+.1} {stack}", (of_ours - of_theirs) / deviation);
        println!("{line}");
        if (of_ours - of_theirs).abs() > SIGMAS * deviation {
            differences.push(line);
        }
    };
    println!("{setting}: {all_ours} samples, {all_theirs} of theirs");
    for stack in stacks {
        let shares = (ours.share(stack), theirs.share(stack));
        if shares.0.max(shares.1) < RARE {
            rare = (rare.0 + shares.0, rare.1 + shares.1);
            println!("rare: {:.4} {:.4} {}", shares.0, shares.1, stack.join(";"));
        } else {
            compare(&stack.join(";"), shares);
        }
    }
    compare("all that is rare", rare);
    assert!(differences.is_empty(), "{setting}: share of ours, of theirs, deviations: {differences:#?}");
}
