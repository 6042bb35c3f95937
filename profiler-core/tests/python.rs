//! Programs of Python that measure their own work: what the samples say of them is what they say of themselves, in stacks
//! that reach the root, with the lines of their source.
//!
//! Needs root (or the capabilities that the sampler names) and python3, which the test command installs. Other
//! versions are tested where `FLAMEGATE_PYTHONS` names their programs, with colons between.

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

#[test]
fn python_is_as_it_says() {
    for python in pythons() {
        println!("{}", python.display());
        agrees(&python);
    }
}

/// That of the system, and those that are named.
fn pythons() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_PYTHONS").unwrap_or_default();
    ["/usr/bin/python3".into()]
        .into_iter()
        .chain(std::env::split_paths(&named).filter(|path| path.is_absolute()))
        .collect()
}

fn agrees(python: &Path) {
    let running = Running::start(counting(python));
    let sampler = start(running.pid(), Settings::new);
    let settled = |stacks: &[Trace]| {
        !stacks.is_empty() && stacks.iter().all(|trace| trace.stop == Stop::Complete && has_python(trace))
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
        said.keys().map(|name| (name, count(&stacks, |stack| stack.works_in(name)))).collect();
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
    let callers = |of: &str| -> Vec<&Function> {
        let stack = stacks.iter().find(|stack| stack.is_whole() && stack.works_in(of)).unwrap();
        stack.functions.iter().skip_while(|function| function.last() != of).skip(1).collect()
    };
    let names =
        |functions: &[&Function]| functions.iter().map(|function| function.last().to_owned()).collect::<Vec<_>>();
    let of_alpha = names(&callers("alpha"));
    assert!(of_alpha.iter().take(DESCENTS).all(|name| name == "descend"), "{of_alpha:?}");
    assert!(of_alpha.iter().skip(DESCENTS).map(String::as_str).eq(["run", "run", "_bootstrap_inner", "_bootstrap"]));
    assert_eq!(names(&callers("beta")).first().map(String::as_str), Some("asking"));
    let of_gamma = callers("gamma");
    assert_eq!(names(&of_gamma).first().map(String::as_str), Some("run"));
    assert!(of_gamma.first().is_some_and(|run| run.is_below_machine_code), "the sort is not between");
}

fn lines_are_those_of_the_source(stacks: &[Stack]) {
    let source = std::fs::read_to_string(source()).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    for function in stacks.iter().flat_map(|stack| &stack.functions).filter(|one| one.file.ends_with("truth.py")) {
        let text = |line: u32| lines.get((line as usize).wrapping_sub(1)).copied().unwrap_or_default();
        assert!(text(function.start_line).contains(&format!("def {}(", function.last())), "{function:?}");
        if function.last() == "descend" {
            // Where it begins, too.
            let is_its = ["def descend", "if depth", "return"].iter().any(|part| text(function.line).contains(part));
            assert!(is_its, "{function:?}");
        }
    }
    let in_loops = stacks.iter().filter(|stack| stack.works_in("alpha")).filter_map(|stack| stack.functions.first());
    let is_work = |function: &&Function| {
        let text = lines.get(function.line as usize - 1).copied().unwrap_or_default();
        text.contains("range(ROUNDS)") || text.contains("65521")
    };
    let (work, all) = (in_loops.clone().filter(is_work).count(), in_loops.count());
    assert!(work * 10 > all * 9, "of {all} in alpha {work} are in its loop");
}

#[test]
fn what_is_switched_off_is_not_loaded() {
    let running = Running::start(counting(Path::new("/usr/bin/python3")));
    let none = |scope| Settings { runtimes: profiler_core::kernel::Runtimes::NONE, ..Settings::new(scope) };
    let sampler = start(running.pid(), none);
    let has_machine_code = |trace: &Trace| trace.stop == Stop::Complete && !has_python(trace);
    wait_for(|| sampler.collect().iter().any(has_machine_code));
    assert!(sampler.verified_instructions().iter().all(|(program, _)| !program.starts_with("python")));
    assert_eq!(sampler.statistics().kernel.runtime_walks(Unwinder::PYTHON, RuntimeWalk::Entered), 0);
}

fn start(pid: u32, settings: impl FnOnce(Scope) -> Settings) -> Sampler {
    let settings = Settings { sample_rate: 499, ..settings(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"))
}

fn has_python(trace: &Trace) -> bool {
    trace.user.iter().any(|frame| frame.kind == FrameKind::Python)
}

/// The functions of Python in a stack, the innermost first.
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
    /// Machine code of other functions than the loop's own is between this one and the one that it called.
    is_below_machine_code: bool,
}

impl Function {
    fn last(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or_default()
    }
}

impl Stack {
    fn of(sampler: &Sampler, trace: &Trace) -> Self {
        let mut stack = Self { functions: Vec::new(), unnamed: 0, stop: trace.stop, count: trace.count };
        let mut machine_code = 0;
        for frame in &trace.user {
            if frame.kind != FrameKind::Python {
                machine_code += 1;
                continue;
            }
            let before = stack.functions.len();
            sampler.functions(trace.pid, frame, &mut |function| {
                stack.functions.push(Function {
                    name: function.name.to_owned(),
                    file: function.file.to_owned(),
                    line: function.line,
                    start_line: function.start_line,
                    is_below_machine_code: machine_code > 1,
                });
            });
            stack.unnamed += usize::from(stack.functions.len() == before);
            machine_code = 0;
        }
        stack
    }

    /// The innermost function that counts is this one.
    fn works_in(&self, name: &str) -> bool {
        let own = |function: &&Function| ["alpha", "beta", "gamma"].contains(&function.last());
        self.functions.iter().find(own).is_some_and(|function| function.last() == name)
    }

    fn is_whole(&self) -> bool {
        let is_root = |function: &Function| ["_bootstrap", "<module>"].contains(&function.last());
        self.stop == Stop::Complete && self.unnamed == 0 && self.functions.last().is_some_and(is_root)
    }
}

fn count(stacks: &[Stack], of: impl Fn(&Stack) -> bool) -> u64 {
    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/truth.py")
}

fn counting(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.arg(source());
    command
}
