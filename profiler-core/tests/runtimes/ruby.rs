//! Ruby: methods, blocks, functions in C between them, and what YJIT makes of them.

use std::path::Path;
use std::process::Command;

use profiler_core::kernel::{FrameKind, Unwinder};

use super::sampled::{Function, Runtime, Sampled, mostly};
use super::source::{Source, path, versions};

const SOURCE: &str = "ruby/truth.rb";
const ROOT: &str = "block (2 levels) in <main>";
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;

static RUBY: Runtime = Runtime {
    kind: FrameKind::Ruby,
    unwinder: Unwinder::RUBY,
    programs: "ruby",
    work: |function| match function.name.as_str() {
        "Work#alpha" => Some("alpha"),
        "Work.beta" => Some("beta"),
        "block in Work#gamma" => Some("gamma"),
        _ => None,
    },
    reaches_root: |functions| {
        functions.last().is_some_and(|function| [ROOT, "<main>"].contains(&function.name.as_str()))
    },
    is_of_work: |_| true,
    warm_up: 0,
    has_other_threads: false,
    percent_of_work: 50,
};

#[test]
fn ruby_is_as_it_says() {
    for ruby in versions("/usr/bin/ruby", "FLAMEGATE_RUBIES") {
        agrees(&ruby, &[]);
    }
}

/// What YJIT makes of the same program has the same frames.
#[test]
fn ruby_that_is_compiled_is_as_it_says() {
    for ruby in versions("/usr/bin/ruby", "FLAMEGATE_RUBIES").into_iter().filter(|ruby| has_compiler(ruby)) {
        agrees(&ruby, &["--yjit", "--yjit-call-threshold=5"]);
    }
}

#[test]
fn ruby_that_is_switched_off_costs_nothing() {
    RUBY.costs_nothing_when_off(counting(Path::new("/usr/bin/ruby"), &[]));
}

/// Ruby has YJIT from 3.1 on, if it was built with it.
fn has_compiler(ruby: &Path) -> bool {
    let output = Command::new(ruby).args(["--yjit", "-e", "print RubyVM::YJIT.enabled?"]).output().unwrap();
    output.stdout == b"true"
}

fn agrees(ruby: &Path, options: &[&str]) {
    let sampled = RUBY.agrees(counting(ruby, options));
    callers_are_in_order(&sampled);
    lines_are_those_of_the_source(&sampled);
}

/// What runs below what, through machine code and without.
fn callers_are_in_order(sampled: &Sampled) {
    let callers = |of| sampled.names_of_callers(of);
    let root = ["Object#run", ROOT];
    assert_eq!(callers("alpha"), [&["Work#descend"; DESCENTS][..], &root].concat());
    assert_eq!(callers("beta"), [&["block in Object#run", "Integer#times"][..], &root].concat());
    assert_eq!(callers("gamma"), [&["Array#each", "Enumerable#sort_by", "Work#gamma"][..], &root].concat());
}

fn lines_are_those_of_the_source(sampled: &Sampled) {
    let source = Source::of(SOURCE);
    for (function, _) in sampled.functions().filter(|(function, _)| function.file.ends_with("truth.rb")) {
        let expected: (&str, &[&str]) = match function.name.as_str() {
            "Work#alpha" => ("def alpha", &["began", "value", "number", "while"]),
            "Work#descend" => ("def descend", &["depth"]),
            "Work#gamma" => ("def gamma", &["sort_by"]),
            "block in Object#run" => ("1.times", &["Work.beta"]),
            _ => continue,
        };
        assert!(source.has(function.start_line, &[expected.0]), "{function:?}");
        // Where it begins and ends, too.
        let is_its = source.has(function.line, expected.1) || source.has(function.line, &[expected.0, "end"]);
        assert!(is_its, "{function:?}: {}", source.line(function.line));
    }
    let is_alpha = |(function, _): &(&Function, u64)| function.name == "Work#alpha";
    mostly(90, sampled.functions().filter(is_alpha), |function| source.has(function.line, &["while", "65521"]));
}

fn counting(ruby: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(ruby);
    command.args(options).arg(path(SOURCE));
    command
}
