//! Python: a recursion, a generator, and a function that sorting calls.

use std::path::Path;
use std::process::Command;

use profiler_core::kernel::{FrameKind, Unwinder};

use super::sampled::{Function, Runtime, Sampled, mostly};
use super::source::{Source, path, versions};

const SOURCE: &str = "python/truth.py";
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;

pub(super) static PYTHON: Runtime = Runtime {
    kind: FrameKind::Python,
    unwinder: Unwinder::PYTHON,
    programs: "python",
    work: |function| ["alpha", "beta", "gamma"].into_iter().find(|name| function.last() == *name),
    reaches_root: |functions| {
        functions.last().is_some_and(|function| ["_bootstrap", "<module>"].contains(&function.last()))
    },
    is_of_work: |_| true,
    warm_up: 0,
    has_other_threads: false,
    percent_of_work: 50,
};

#[test]
fn python_is_as_it_says() {
    for python in versions("/usr/bin/python3", "FLAMEGATE_PYTHONS") {
        let sampled = PYTHON.agrees(counting(&python));
        callers_are_in_order(&sampled);
        lines_are_those_of_the_source(&sampled);
    }
}

#[test]
fn python_that_is_switched_off_costs_nothing() {
    PYTHON.costs_nothing_when_off(counting(Path::new("/usr/bin/python3")));
}

/// What runs below what, through machine code and without.
fn callers_are_in_order(sampled: &Sampled) {
    let names = |of| sampled.callers(of).into_iter().map(Function::last).collect::<Vec<_>>();
    let threads = ["run", "run", "_bootstrap_inner", "_bootstrap"];
    assert_eq!(names("alpha"), [&["descend"; DESCENTS][..], &threads].concat());
    assert_eq!(names("beta").first(), Some(&"asking"));
    let of_gamma = sampled.callers("gamma");
    let run = of_gamma.first().filter(|function| function.last() == "run");
    assert!(run.is_some_and(|run| run.is_below_machine_code), "the sort is not between: {of_gamma:?}");
}

fn lines_are_those_of_the_source(sampled: &Sampled) {
    let source = Source::of(SOURCE);
    for (function, _) in sampled.functions().filter(|(function, _)| function.file.ends_with("truth.py")) {
        assert!(source.has(function.start_line, &[&format!("def {}(", function.last())]), "{function:?}");
        // Where it begins, too.
        let of_descend = ["def descend", "if depth", "return"];
        assert!(function.last() != "descend" || source.has(function.line, &of_descend), "{function:?}");
    }
    let is_alpha = |(function, _): &(&Function, u64)| function.last() == "alpha";
    let in_loop = |function: &Function| source.has(function.line, &["range(ROUNDS)", "65521"]);
    mostly(90, sampled.functions().filter(is_alpha), in_loop);
}

fn counting(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(path(SOURCE));
    command
}
