//! Programs of Ruby that measure their own work: what the samples say of them is what they say of themselves, in stacks
//! that reach the root, with the lines of their source.
//!
//! Needs root (or the capabilities that the sampler names) and ruby, which the test command installs. Other versions
//! are tested where `FLAMEGATE_RUBIES` names their programs, with colons between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

#[path = "truth/running.rs"]
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::{FrameKind, RuntimeWalk, Stop, Unwinder};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a million times.
const ENOUGH: u64 = 2_500;
/// What the shares may be off: five points.
const TOLERANCE: f64 = 0.05;
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;
/// The program's work, as Ruby names it.
const WORK: [(&str, &str); 3] = [("alpha", "Work#alpha"), ("beta", "Work.beta"), ("gamma", "block in Work#gamma")];

#[test]
fn ruby_is_as_it_says() {
    for ruby in rubies() {
        println!("{}", ruby.display());
        agrees(counting(&ruby, &[]));
    }
}

/// What YJIT makes of the same program has the same frames.
#[test]
fn ruby_that_is_compiled_is_as_it_says() {
    for ruby in rubies().into_iter().filter(|ruby| has_compiler(ruby)) {
        println!("{}", ruby.display());
        agrees(counting(&ruby, &["--yjit", "--yjit-call-threshold=5"]));
    }
}

/// That of the system, and those that are named.
fn rubies() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_RUBIES").unwrap_or_default();
    ["/usr/bin/ruby".into()]
        .into_iter()
        .chain(std::env::split_paths(&named).filter(|path| path.is_absolute()))
        .collect()
}

/// Ruby has YJIT from 3.1 on, if it was built with it.
fn has_compiler(ruby: &Path) -> bool {
    let output = Command::new(ruby).args(["--yjit", "-e", "print RubyVM::YJIT.enabled?"]).output().unwrap();
    output.stdout == b"true"
}

fn agrees(program: Command) {
    let running = Running::start(program);
    let sampler = start(running.pid(), Settings::new);
    let settled = |stacks: &[Trace]| {
        !stacks.is_empty() && stacks.iter().all(|trace| trace.stop == Stop::Complete && has_ruby(trace))
    };
    wait_for(|| settled(&sampler.collect()));
    let mut stacks = Vec::new();
    wait_for(|| {
        stacks.extend(sampler.collect().into_iter().map(|trace| Stack::of(&sampler, &trace)));
        count(&stacks, |_| true) >= ENOUGH
    });
    let said = running.ask();

    let all = count(&stacks, |_| true);
    let whole = count(&stacks, Stack::is_whole);
    let other = stacks.iter().find(|stack| !stack.is_whole());
    assert!(whole * 100 >= all * 97, "{whole} of {all} stacks are whole: {other:#?}");

    let seen: BTreeMap<&String, u64> =
        said.keys().map(|name| (name, count(&stacks, |stack| stack.works_in() == Some(name)))).collect();
    let (all_seen, all_said) = (seen.values().sum::<u64>(), said.values().sum::<u64>());
    assert!(all_seen * 2 > all, "of {all} samples {all_seen} are of the work");
    for (name, said) in &said {
        let seen = seen.get(name).copied().unwrap_or_default() as f64 / all_seen as f64;
        let said = *said as f64 / all_said as f64;
        assert!((seen - said).abs() < TOLERANCE, "{name}: {seen} of the samples, {said} of the work");
    }
    callers_are_in_order(&stacks);
    lines_are_those_of_the_source(&stacks);
}

/// What runs below what, through machine code and without.
fn callers_are_in_order(stacks: &[Stack]) {
    let callers = |of: &str| -> Vec<&str> {
        let stack = stacks.iter().find(|stack| stack.is_whole() && stack.works_in() == Some(of)).unwrap();
        let own = WORK.map(|(_, name)| name);
        let names = stack.functions.iter().map(|function| function.name.as_str());
        names.skip_while(|name| !own.contains(name)).skip(1).collect()
    };
    let root = ["Object#run", ROOT];
    assert_eq!(callers("alpha"), [&["Work#descend"; DESCENTS][..], &root].concat());
    assert_eq!(callers("beta"), [&["block in Object#run", "Integer#times"][..], &root].concat());
    assert_eq!(callers("gamma"), [&["Array#each", "Enumerable#sort_by", "Work#gamma"][..], &root].concat());
}

const ROOT: &str = "block (2 levels) in <main>";

fn lines_are_those_of_the_source(stacks: &[Stack]) {
    let source = std::fs::read_to_string(source()).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let text = |line: u32| lines.get((line as usize).wrapping_sub(1)).copied().unwrap_or_default();
    for function in stacks.iter().flat_map(|stack| &stack.functions).filter(|one| one.file.ends_with("truth.rb")) {
        let expected: (&str, &[&str]) = match function.name.as_str() {
            "Work#alpha" => ("def alpha", &["began", "value", "number", "while"]),
            "Work#descend" => ("def descend", &["depth"]),
            "Work#gamma" => ("def gamma", &["sort_by"]),
            "block in Object#run" => ("1.times", &["Work.beta"]),
            _ => continue,
        };
        assert!(text(function.start_line).contains(expected.0), "{function:?}");
        let at = text(function.line);
        // Where it begins and ends, too.
        let is_its = expected.1.iter().chain([&expected.0, &"end"]).any(|part| at.contains(part));
        assert!(is_its, "{function:?}: {at}");
    }
    let in_loops = stacks.iter().filter(|stack| stack.works_in() == Some("alpha"));
    let in_loops = in_loops.filter_map(|stack| stack.functions.iter().find(|function| function.name == "Work#alpha"));
    let is_work = |function: &&Function| ["while", "65521"].iter().any(|part| text(function.line).contains(part));
    let (work, all) = (in_loops.clone().filter(is_work).count(), in_loops.count());
    assert!(work * 10 > all * 9, "of {all} in alpha {work} are in its loop");
}

#[test]
fn what_is_switched_off_is_not_loaded() {
    let running = Running::start(counting(Path::new("/usr/bin/ruby"), &[]));
    let none = |scope| Settings { runtimes: profiler_core::kernel::Runtimes::NONE, ..Settings::new(scope) };
    let sampler = start(running.pid(), none);
    let has_machine_code = |trace: &Trace| trace.stop == Stop::Complete && !has_ruby(trace);
    wait_for(|| sampler.collect().iter().any(has_machine_code));
    assert!(sampler.verified_instructions().iter().all(|(program, _)| !program.starts_with("ruby")));
    assert_eq!(sampler.statistics().kernel.runtime_walks(Unwinder::RUBY, RuntimeWalk::Entered), 0);
}

fn start(pid: u32, settings: impl FnOnce(Scope) -> Settings) -> Sampler {
    let settings = Settings { sample_rate: 499, ..settings(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"))
}

fn has_ruby(trace: &Trace) -> bool {
    trace.user.iter().any(|frame| frame.kind == FrameKind::Ruby)
}

/// The functions of Ruby in a stack, the innermost first.
#[derive(Debug)]
struct Stack {
    functions: Vec<Function>,
    /// Frames of which no name is known.
    unnamed: usize,
    stop: Stop,
    count: u64,
}

#[derive(Debug)]
struct Function {
    name: String,
    file: String,
    line: u32,
    start_line: u32,
}

impl Stack {
    fn of(sampler: &Sampler, trace: &Trace) -> Self {
        let mut stack = Self { functions: Vec::new(), unnamed: 0, stop: trace.stop, count: trace.count };
        for frame in trace.user.iter().filter(|frame| frame.kind == FrameKind::Ruby) {
            let before = stack.functions.len();
            sampler.functions(trace.pid, frame, &mut |function| {
                stack.functions.push(Function {
                    name: function.name.to_owned(),
                    file: function.file.to_owned(),
                    line: function.line,
                    start_line: function.start_line,
                });
            });
            stack.unnamed += usize::from(stack.functions.len() == before);
        }
        stack
    }

    /// The innermost function that counts, by what the program calls it.
    fn works_in(&self) -> Option<&'static str> {
        self.functions
            .iter()
            .find_map(|function| WORK.iter().find(|(_, name)| *name == function.name).map(|(said, _)| *said))
    }

    fn is_whole(&self) -> bool {
        let is_root = |function: &Function| [ROOT, "<main>"].contains(&function.name.as_str());
        self.stop == Stop::Complete && self.unnamed == 0 && self.functions.last().is_some_and(is_root)
    }
}

fn count(stacks: &[Stack], of: impl Fn(&Stack) -> bool) -> u64 {
    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ruby/truth.rb")
}

fn counting(ruby: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(ruby);
    command.args(options).arg(source());
    command
}
