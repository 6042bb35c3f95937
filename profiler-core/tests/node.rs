//! Programs of Node.js that measure their own work: what the samples say of them is what they say of themselves, in stacks
//! that reach the root, with the lines of their source and with the functions that compilers inlined.
//!
//! Needs root (or the capabilities that the sampler names) and node, which the test command installs. Other versions are
//! tested where `FLAMEGATE_NODES` names their programs, with colons between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

#[path = "truth/running.rs"]
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use profiler_core::kernel::{FrameKind, RuntimeWalk, Runtimes, Stop, Unwinder};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a million times.
const ENOUGH: u64 = 2_500;
/// What the shares may be off: five points.
const TOLERANCE: f64 = 0.05;

#[test]
fn node_is_as_it_says() {
    for node in nodes() {
        // Each compiler by itself, and all of them in their turn.
        for options in [&[][..], &["--no-opt"], &["--no-opt", "--no-sparkplug"], &["--always-sparkplug"]] {
            println!("{} {options:?}", node.display());
            agrees(&node, options);
        }
    }
}

/// Those that are named, and that of the system.
fn nodes() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_NODES").unwrap_or_default();
    let named = std::env::split_paths(&named).filter(|path| path.is_absolute());
    named.chain(["/usr/bin/node".into()]).collect()
}

fn agrees(node: &Path, options: &[&str]) {
    let running = Running::start(counting(node, options));
    let sampler = start(running.pid(), Settings::new);
    // Threads that compile or collect garbage have no frames of V8.
    let settled =
        |stacks: &[Trace]| stacks.iter().any(has_v8) && stacks.iter().all(|trace| trace.stop == Stop::Complete);
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
    println!("{seen:?} {said:?}: {whole} of {all} whole");
    let mut others: Vec<&Stack> = stacks.iter().filter(|stack| !said.keys().any(|name| stack.works_in(name))).collect();
    others.sort_by_key(|stack| std::cmp::Reverse(stack.count));
    let others = others.get(..3);
    assert!(all_seen * 10 > all * 9, "of {all} samples {all_seen} are of the work, these are not: {others:#?}");
    for (name, said) in &said {
        let seen = seen.get(name).copied().unwrap_or_default() as f64 / all_seen as f64;
        let said = *said as f64 / all_said as f64;
        assert!((seen - said).abs() < TOLERANCE, "{name}: {seen} of the samples, {said} of the work");
    }
    callers_are_in_order(&stacks);
    lines_are_those_of_the_source(&stacks);
}

/// What runs below what, whether it was inlined or not, and through what is built in.
fn callers_are_in_order(stacks: &[Stack]) {
    let callers = |of: &str| -> Vec<&str> {
        let stack =
            stacks.iter().filter(|stack| stack.is_whole() && stack.works_in(of)).max_by_key(|stack| stack.count);
        let names = stack.unwrap().functions.iter().map(|function| function.name.as_str());
        names.skip_while(|name| *name != of).skip(1).collect()
    };
    let of_alpha = callers("alpha");
    assert_eq!(of_alpha.first(), Some(&"inlining"));
    let descents = of_alpha.iter().skip(1).take_while(|name| **name == "descend").count();
    assert_eq!(descents, 21, "{of_alpha:?}");
    assert_eq!(of_alpha.get(22..24), Some(&["run", "again"][..]), "{of_alpha:?}");
    let of_gamma = callers("gamma");
    assert_eq!(of_gamma.get(1..4), Some(&["sort", "run", "again"][..]), "{of_gamma:?}");
    assert!(of_gamma.first().is_some_and(|name| name.starts_with("(anonymous) truth.js:60:")), "{of_gamma:?}");
}

fn lines_are_those_of_the_source(stacks: &[Stack]) {
    let source = std::fs::read_to_string(source()).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let text = |line: u32| lines.get((line as usize).wrapping_sub(1)).copied().unwrap_or_default();
    let own = stacks.iter().flat_map(|stack| &stack.functions).filter(|one| one.file.ends_with("/truth.js"));
    for function in own {
        let begins = text(function.start_line);
        let is_named =
            begins.contains(&format!("{}(", function.name)) || begins.contains(&format!("{} =", function.name));
        assert!(is_named || function.name.starts_with("(anonymous)"), "{function:?}: {begins}");
        if function.name == "descend" {
            assert!(text(function.line).contains("descend"), "{function:?}");
        }
    }
    let inner = |name: &'static str| {
        let stacks = stacks.iter().filter(move |stack| stack.works_in(name));
        stacks.filter_map(move |stack| Some((stack.functions.iter().find(|one| one.name == name)?.line, stack.count)))
    };
    let all: u64 = inner("alpha").map(|(_, count)| count).sum();
    let is_work = |line: u32| text(line).contains("ROUNDS.alpha") || text(line).contains("65521");
    let work: u64 = inner("alpha").filter(|(line, _)| is_work(*line)).map(|(_, count)| count).sum();
    // What is interpreted says where it called last.
    assert!(work * 10 > all * 8, "of {all} in alpha {work} are in its loop");
}

#[test]
fn what_is_switched_off_is_not_loaded() {
    let running = Running::start(counting(Path::new("/usr/bin/node"), &[]));
    let none = |scope| Settings { runtimes: Runtimes::NONE, ..Settings::new(scope) };
    let sampler = start(running.pid(), none);
    wait_for(|| sampler.collect().iter().any(|trace| !has_v8(trace)));
    assert!(sampler.verified_instructions().iter().all(|(program, _)| !program.starts_with("v8")));
    assert_eq!(sampler.statistics().kernel.runtime_walks(Unwinder::V8, RuntimeWalk::Entered), 0);
}

fn start(pid: u32, settings: impl FnOnce(Scope) -> Settings) -> Sampler {
    let settings = Settings { sample_rate: 499, ..settings(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"))
}

fn has_v8(trace: &Trace) -> bool {
    trace.user.iter().any(|frame| frame.kind == FrameKind::V8)
}

/// The functions of JavaScript in a stack, the innermost first.
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
        for frame in trace.user.iter().filter(|frame| frame.kind == FrameKind::V8) {
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

    /// The innermost function that counts is this one.
    fn works_in(&self, name: &str) -> bool {
        let own = |function: &&Function| ["alpha", "beta", "gamma"].contains(&function.name.as_str());
        self.functions.iter().find(own).is_some_and(|function| function.name == name)
    }

    fn is_whole(&self) -> bool {
        self.stop == Stop::Complete && self.unnamed == 0
    }
}

fn count(stacks: &[Stack], of: impl Fn(&Stack) -> bool) -> u64 {
    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/node/truth.js")
}

fn counting(node: &Path, options: &[&str]) -> Command {
    let mut command = Command::new(node);
    command.args(options).arg(source());
    command
}
