//! Perl: a recursion, an anonymous subroutine, and one that sorting calls.

use std::path::Path;
use std::process::Command;

use profiler_core::kernel::{FrameKind, Unwinder};

use super::sampled::{Function, Runtime, Sampled, mostly};
use super::source::{Source, path, versions};

const SOURCE: &str = "perl/truth.pl";
const ROOT: &str = "<main>";
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;

static PERL: Runtime = Runtime {
    kind: FrameKind::Perl,
    unwinder: Unwinder::PERL,
    programs: "perl",
    work: |function| match function.name.as_str() {
        "Work::alpha" => Some("alpha"),
        "Work::gamma" => Some("gamma"),
        // Behind it is the place of what has no name.
        name => name.starts_with("Work::__ANON__[").then_some("beta"),
    },
    reaches_root: |functions| functions.last().is_some_and(|function| function.name == ROOT),
    is_of_work: |_| true,
    warm_up: 0,
    has_other_threads: false,
    percent_of_work: 50,
};

#[test]
fn perl_is_as_it_says() {
    for perl in versions("/usr/bin/perl", "FLAMEGATE_PERLS") {
        let sampled = PERL.agrees(counting(&perl));
        callers_are_in_order(&sampled);
        lines_are_those_of_the_source(&sampled);
    }
}

#[test]
fn perl_that_is_switched_off_costs_nothing() {
    PERL.costs_nothing_when_off(counting(Path::new("/usr/bin/perl")));
}

/// What runs below what, through machine code and without.
fn callers_are_in_order(sampled: &Sampled) {
    assert_eq!(sampled.names_of_callers("alpha"), [&["main::descend"; DESCENTS][..], &["main::run", ROOT]].concat());
    assert_eq!(sampled.names_of_callers("beta"), ["Work::asks", "main::run", ROOT]);
    assert_eq!(sampled.names_of_callers("gamma"), ["main::run", ROOT]);
    let of_gamma = sampled.callers("gamma");
    assert!(of_gamma.first().is_some_and(|run| run.is_below_machine_code), "the sort is not between: {of_gamma:?}");
}

fn lines_are_those_of_the_source(sampled: &Sampled) {
    let source = Source::of(SOURCE);
    let loop_of_work = ["clock()", "my $value", "for my", "65521", "return"];
    for (function, _) in sampled.functions() {
        // Where it begins: its first statement.
        let expected: (&str, &[&str]) = match function.name.as_str() {
            "Work::alpha" | "Work::gamma" => ("my $began", &loop_of_work),
            "main::descend" => ("my ($depth)", &["return $depth"]),
            "Work::asks" => ("return $beta", &[]),
            ROOT => ("", &["run() for", "until (select"]),
            name if name.starts_with("Work::__ANON__[") => {
                assert!(name.ends_with(&format!("truth.pl:{}]", function.start_line)), "{name}");
                ("my $began", &loop_of_work)
            }
            _ => continue,
        };
        assert!(function.file.ends_with("truth.pl"), "{function:?}");
        let begins = function.name == ROOT || source.has(function.start_line, &[expected.0]);
        assert!(begins, "{function:?}: {}", source.line(function.start_line));
        let is_its = source.has(function.line, expected.1)
            || (!expected.0.is_empty() && source.has(function.line, &[expected.0]));
        assert!(is_its, "{function:?}: {}", source.line(function.line));
    }
    let is_alpha = |(function, _): &(&Function, u64)| function.name == "Work::alpha";
    mostly(90, sampled.functions().filter(is_alpha), |function| source.has(function.line, &["for my", "65521"]));
}

fn counting(perl: &Path) -> Command {
    let mut command = Command::new(perl);
    command.arg(path(SOURCE));
    command
}
