//! The figures of a run as text.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::goal::Goal;
use super::idle::Idle;
use super::payload::Mode;
use super::program::FLAMEGATE;

/// The load under which goals are to be met.
const GOAL_CONNECTIONS: usize = 64;
/// Idle memory of Flamegate, in MB.
const GOAL_IDLE_MB: f64 = 20.0;

/// One program under one load in one round.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) requests_per_second: f64,
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    /// Seconds of the program's CPU time for 1,000 requests.
    pub(crate) cpu_per_1000: f64,
    /// The most memory in MB (1,000,000 bytes).
    pub(crate) peak_mb: f64,
    /// Memory in MB before the first request.
    pub(crate) idle_mb: f64,
}

/// All that a run has measured.
pub(crate) struct Report {
    programs: Vec<String>,
    /// The program by whose figures those of the others are divided.
    yardstick: String,
    /// By mode and connections in the order in which they were asked for.
    loads: Vec<(Mode, usize)>,
    /// By load and program, both by position: one sample a round, the rounds in order.
    samples: BTreeMap<(usize, usize), Vec<Sample>>,
    goals: Vec<Goal>,
    /// By program.
    idle: Vec<(String, Idle)>,
}

impl Report {
    pub(crate) fn new(programs: Vec<String>, yardstick: &str, loads: Vec<(Mode, usize)>, goals: Vec<Goal>) -> Self {
        let (samples, idle) = (BTreeMap::new(), Vec::new());
        Self { programs, yardstick: yardstick.to_owned(), loads, samples, goals, idle }
    }

    /// Adds what idle connections take of a program.
    pub(crate) fn add_idle(&mut self, program: &str, idle: Idle) {
        self.idle.push((program.to_owned(), idle));
    }

    /// Adds the next round's sample of a load and a program, by their positions.
    pub(crate) fn add(&mut self, load: usize, program: usize, sample: Sample) {
        self.samples.entry((load, program)).or_default().push(sample);
    }

    /// Tables of medians, of ratios and of goals.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        self.write_medians(&mut text);
        self.write_idle(&mut text);
        Idle::write(&self.idle, &mut text);
        if self.position(&self.yardstick).is_some() && self.programs.len() > 1 {
            self.write_ratios(&mut text);
        }
        self.write_goals(&mut text);
        text
    }

    fn write_medians(&self, text: &mut String) {
        line(text, format_args!("Medians of the rounds"));
        line(
            text,
            format_args!(
                "{:<8}{:>6}  {:<24}{:>12}{:>10}{:>10}{:>14}{:>10}",
                "mode", "conns", "program", "requests/s", "p50 ms", "p99 ms", "CPU s/1,000", "peak MB"
            ),
        );
        for (load, (mode, connections)) in self.loads.iter().enumerate() {
            for (program, name) in self.programs.iter().enumerate() {
                let of = |figure: fn(&Sample) -> f64| self.median(load, program, figure);
                line(
                    text,
                    format_args!(
                        "{mode:<8}{connections:>6}  {name:<24}{:>12.0}{:>10.2}{:>10.2}{:>14.3}{:>10.1}",
                        of(|sample| sample.requests_per_second),
                        of(|sample| sample.p50_ms),
                        of(|sample| sample.p99_ms),
                        of(|sample| sample.cpu_per_1000),
                        of(|sample| sample.peak_mb),
                    ),
                );
            }
        }
    }

    fn write_idle(&self, text: &mut String) {
        line(text, format_args!("\nIdle memory before load, MB (median)"));
        for (program, name) in self.programs.iter().enumerate() {
            line(text, format_args!("{name:<24}{:>8.1}", self.idle_mb(program)));
        }
    }

    fn write_ratios(&self, text: &mut String) {
        let yardstick = &self.yardstick;
        line(text, format_args!("\nRatios to {yardstick}: median of the rounds (lowest to highest)"));
        line(
            text,
            format_args!(
                "{:<8}{:>6}  {:<24}{:>24}{:>24}{:>24}",
                "mode", "conns", "program", "requests/s", "p99", "CPU"
            ),
        );
        for (load, (mode, connections)) in self.loads.iter().enumerate() {
            for name in self.programs.iter().filter(|name| *name != yardstick) {
                let of = |figure: fn(&Sample) -> f64| self.ratio(load, name, figure);
                line(
                    text,
                    format_args!(
                        "{mode:<8}{connections:>6}  {name:<24}{:>24}{:>24}{:>24}",
                        of(|sample| sample.requests_per_second),
                        of(|sample| sample.p99_ms),
                        of(|sample| sample.cpu_per_1000),
                    ),
                );
            }
        }
    }

    fn write_goals(&self, text: &mut String) {
        line(text, format_args!("\nGoals"));
        for Goal { program, over, figure, bound } in &self.goals {
            if self.position(program).is_none() || self.position(over).is_none() {
                continue;
            }
            let loads = self.loads.iter().enumerate();
            for (load, (mode, connections)) in loads.filter(|(_, (_, connections))| *connections == GOAL_CONNECTIONS) {
                let ratio = self.ratio_over(load, program, over, |sample| figure.of(sample));
                let what = format!("{figure} of {program} over {over}, {mode}, {connections} connections");
                line(text, format_args!("{what:<84}{ratio:>24}{bound}"));
            }
        }
        if let Some(program) = self.position(FLAMEGATE) {
            let idle = format!("{:.1} MB", self.idle_mb(program));
            line(text, format_args!("{:<84}{idle:>24}   goal < {GOAL_IDLE_MB} MB", "idle memory"));
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.programs.iter().position(|program| program == name)
    }

    fn samples(&self, load: usize, program: usize) -> &[Sample] {
        self.samples.get(&(load, program)).map_or(&[], Vec::as_slice)
    }

    fn median(&self, load: usize, program: usize, figure: fn(&Sample) -> f64) -> f64 {
        Spread::of(self.samples(load, program).iter().map(figure)).median
    }

    fn idle_mb(&self, program: usize) -> f64 {
        let loads = 0..self.loads.len();
        Spread::of(loads.flat_map(|load| self.samples(load, program)).map(|sample| sample.idle_mb)).median
    }

    fn ratio(&self, load: usize, name: &str, figure: fn(&Sample) -> f64) -> String {
        self.ratio_over(load, name, &self.yardstick, figure)
    }

    /// A machine's speed drifts: only figures of the same round are divided.
    fn ratio_over(&self, load: usize, name: &str, over: &str, figure: impl Fn(&Sample) -> f64) -> String {
        let of = |name: &str| self.position(name).map_or(&[][..], |program| self.samples(load, program));
        let ratios = of(name).iter().zip(of(over)).map(|(sample, other)| figure(sample) / figure(other));
        let Spread { lowest, median, highest } = Spread::of(ratios);
        format!("{median:.2} ({lowest:.2} to {highest:.2})")
    }
}

#[derive(PartialEq, Debug)]
pub(super) struct Spread {
    pub(super) lowest: f64,
    pub(super) median: f64,
    pub(super) highest: f64,
}

impl Spread {
    /// Not-a-number when there is nothing to be spread.
    pub(super) fn of(figures: impl Iterator<Item = f64>) -> Self {
        let mut sorted: Vec<f64> = figures.collect();
        sorted.sort_by(f64::total_cmp);
        let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
        let last = sorted.len().saturating_sub(1);
        Self { lowest: at(0), median: f64::midpoint(at(last / 2), at(last.div_ceil(2))), highest: at(last) }
    }
}

fn line(text: &mut String, content: std::fmt::Arguments<'_>) {
    // Writing to a string does not fail.
    let _written = writeln!(text, "{content}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::goal::GOALS;

    fn sample(cpu_per_1000: f64) -> Sample {
        Sample { requests_per_second: 1000.0, p50_ms: 0.5, p99_ms: 1.0, cpu_per_1000, peak_mb: 30.0, idle_mb: 12.0 }
    }

    #[test]
    fn median_of_an_even_number_lies_between_the_middle_two() {
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0].into_iter()), Spread { lowest: 1.0, median: 2.5, highest: 4.0 });
        assert_eq!(Spread::of([9.0, 1.0, 2.0].into_iter()), Spread { lowest: 1.0, median: 2.0, highest: 9.0 });
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let mut report =
            Report::new(vec!["bare".into(), "flamegate".into()], "bare", vec![(Mode::Push, 64)], GOALS.into());
        // The machine is slower by a factor in each round; the ratios are 1.5, 1.2 and 1.1.
        for (bare, flamegate) in [(0.1, 0.15), (0.2, 0.24), (0.4, 0.44)] {
            report.add(0, 0, sample(bare));
            report.add(0, 1, sample(flamegate));
        }
        let text = report.render();
        let goal = text.lines().find(|line| line.contains("goal <= 1.15")).unwrap();
        assert!(goal.contains("push, 64 connections") && goal.contains("1.20 (1.10 to 1.50)"), "{text}");
        assert!(text.lines().any(|line| line.contains("12.0 MB") && line.contains("goal < 20 MB")), "{text}");
    }

    #[test]
    fn without_the_yardstick_there_is_neither_ratio_nor_its_goal() {
        let mut report = Report::new(vec!["flamegate".into()], "bare", vec![(Mode::Ingest, 64)], GOALS.into());
        report.add(0, 0, sample(0.1));
        let text = report.render();
        assert!(!text.contains("Ratios") && !text.contains("goal <= "), "{text}");
        assert!(text.contains("goal < 20 MB"), "{text}");
    }
}
