//! Programs of Go that label their work and count it: samples have the labels that the goroutine has at that moment, as
//! often as the program says.
//!
//! Needs root (or the capabilities that the sampler names) and go. Other versions are tested where `FLAMEGATE_GOS` names
//! their commands, with colons between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

#[path = "truth/running.rs"]
mod running;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSymbol};
use profiler_core::kernel::{FrameKind, Runtimes, Stop};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a million times.
const ENOUGH: u64 = 2_500;
/// What the shares may be off: five points.
const TOLERANCE: f64 = 0.05;
/// The program's work: its label, and the function that does it.
const WORK: [(&str, &str); 3] = [("alpha", "main.alpha"), ("beta_", "main.beta"), ("gamma", "main.gamma_")];

#[test]
fn labels_are_those_of_the_work() {
    for go in gos() {
        for (name, flags) in [
            ("fixed", &[][..]),
            ("anywhere", &["-buildmode=pie"]),
            ("with-c", &["-ldflags=-linkmode=external"]),
            ("stripped", &["-ldflags=-s -w"]),
        ] {
            println!("{} {name}", go.display());
            agrees(&compile(&go, name, flags), &compile(&go, "fixed", &[]));
        }
    }
}

/// `symbols`: the same program with a table of symbols.
fn agrees(program: &Path, symbols: &Path) {
    let running = Running::start(Command::new(program));
    let sampler = start(running.pid(), Settings::new);
    wait_until_labelled(&sampler);
    let mut traces = Vec::new();
    wait_for(|| {
        traces.extend(sampler.collect());
        count(&traces, |_| true) >= ENOUGH
    });
    let said = running.ask();

    let all = count(&traces, |_| true);
    let complete = count(&traces, |trace| trace.stop == Stop::Complete);
    assert!(complete * 100 >= all * 97, "{complete} of {all} stacks reach the root: {:?}", lost(&traces));
    let seen = |work: &str| count(&traces, |trace| label(trace, "work") == Some(work));
    let seen: BTreeMap<&str, u64> = said.keys().map(|work| (work.as_str(), seen(work))).collect();
    let (all_seen, all_said) = (seen.values().sum::<u64>(), said.values().sum::<u64>());
    assert!(all_seen * 2 > all, "of {all} samples {all_seen} have the labels of the work");
    for (work, said) in &said {
        let seen = seen.get(work.as_str()).copied().unwrap_or_default() as f64 / all_seen as f64;
        let said = *said as f64 / all_said as f64;
        assert!((seen - said).abs() < TOLERANCE, "{work}: {seen} of the samples, {said} of the work");
    }

    // Not one sample may have the labels of other work.
    let is_with_symbols = program == symbols;
    for (work, function) in WORK.iter().filter(|_| is_with_symbols) {
        let place = place(symbols, function);
        let of_function = traces.iter().filter(|trace| innermost(trace).is_some_and(|at| place.contains(&at)));
        let labels: BTreeSet<Option<&str>> = of_function.map(|trace| label(trace, "work")).collect();
        assert_eq!(labels, [Some(*work)].into(), "in {function}");
    }
    let tenants: BTreeSet<_> = traces.iter().filter_map(|trace| label(trace, "tenant")).collect();
    assert_eq!(tenants, ["of 1", "of 2"].into());
}

#[test]
fn labels_are_bounded_in_number_and_length() {
    for go in gos() {
        let mut command = Command::new(compile(&go, "fixed", &[]));
        command.arg("wide");
        let running = Running::start(command);
        let sampler = start(running.pid(), Settings::new);
        wait_until_labelled(&sampler);
        let mut traces = Vec::new();
        wait_for(|| {
            traces.extend(sampler.collect());
            count(&traces, |trace| label(trace, "work").is_some()) >= 100
        });
        // Outside of the work they are fewer. A key that is too long is left out, and so is a value that says nothing.
        let working = traces.iter().filter(|trace| label(trace, "label 9").is_some());
        let (mut wide, long) = (0, "ä".repeat(64));
        for trace in working {
            let own = trace.labels.iter().map(|(key, value)| (&**key, &**value));
            let numbered: Vec<_> = own.clone().filter(|(key, _)| key.starts_with("label ")).collect();
            let expected: Vec<_> = (1..10).map(|place| (format!("label {place}"), "v".repeat(10 * place))).collect();
            let expected: Vec<_> = expected.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
            assert_eq!(numbered, expected);
            let others: Vec<_> = own.filter(|(key, _)| !key.starts_with("label ")).map(|(key, _)| key).collect();
            assert_eq!(others, ["long", "tenant", "work"]);
            assert_eq!(label(trace, "long"), Some(long.as_str()));
            wide += trace.count;
        }
        assert!(wide > 50, "{} {wide}: {traces:#?}", go.display());
        wait_for(|| sampler.statistics().kernel.labels_cut > 0);
    }
}

#[test]
fn a_program_that_labels_each_request_keeps_its_samples() {
    let [go, ..] = &gos()[..] else { panic!("no go") };
    let mut command = Command::new(compile(go, "fixed", &[]));
    command.arg("many");
    let running = Running::start(command);
    let sampler = start(running.pid(), Settings::new);
    wait_until_labelled(&sampler);
    wait_for(|| sampler.statistics().unlabelled > 100);
    let traces = sampler.collect();
    let requests: BTreeSet<_> = traces.iter().filter_map(|trace| label(trace, "request")).collect();
    assert!((500..=1024).contains(&requests.len()), "{} sets of labels", requests.len());
    assert!(count(&traces, |trace| trace.labels.is_empty()) > 100);
    assert_eq!(sampler.statistics().dropped, 0);
}

#[test]
fn what_is_switched_off_costs_nothing() {
    let [go, ..] = &gos()[..] else { panic!("no go") };
    let program = compile(go, "fixed", &[]);
    let running = Running::start(Command::new(&program));
    let off = |scope| Settings { runtimes: Runtimes { go: false, ..Runtimes::ALL }, ..Settings::new(scope) };
    let sampler = start(running.pid(), off);
    let mut traces = Vec::new();
    wait_for(|| {
        traces.extend(sampler.collect());
        count(&traces, |trace| trace.stop == Stop::Complete) >= 500
    });
    assert!(traces.iter().all(|trace| trace.labels.is_empty()));
    let statistics = sampler.statistics();
    assert_eq!((statistics.runtimes, statistics.kernel.labelled, statistics.kernel.labels_cut), (0, 0, 0));
}

fn start(pid: u32, settings: impl Fn(Scope) -> Settings) -> Sampler {
    let settings = Settings { sample_rate: 997, ..settings(Scope::Pids(vec![pid])) };
    Sampler::start(&settings).unwrap_or_else(|error| panic!("{error}"))
}

fn wait_until_labelled(sampler: &Sampler) {
    let is_settled = |trace: &Trace| trace.stop == Stop::Complete && label(trace, "work").is_some();
    wait_for(|| {
        let traces = sampler.collect();
        count(&traces, is_settled) * 2 > count(&traces, |_| true)
    });
}

/// Why the others end.
fn lost(traces: &[Trace]) -> BTreeMap<&str, u64> {
    let mut lost = BTreeMap::new();
    for trace in traces.iter().filter(|trace| trace.stop != Stop::Complete) {
        *lost.entry(trace.stop.text()).or_default() += trace.count;
    }
    lost
}

fn label<'t>(trace: &'t Trace, key: &str) -> Option<&'t str> {
    trace.labels.iter().find(|(own, _)| **own == *key).map(|(_, value)| &**value)
}

fn innermost(trace: &Trace) -> Option<u64> {
    trace.user.first().filter(|frame| frame.kind == FrameKind::Native).map(|frame| frame.address)
}

fn count(traces: &[Trace], of: impl Fn(&Trace) -> bool) -> u64 {
    traces.iter().filter(|trace| of(trace)).map(|trace| trace.count).sum()
}

/// That of the system, and those that are named.
fn gos() -> Vec<PathBuf> {
    let named = std::env::var_os("FLAMEGATE_GOS").unwrap_or_default();
    ["go".into()].into_iter().chain(std::env::split_paths(&named).filter(|path| path.is_absolute())).collect()
}

/// In a folder for each version and way to link; by one test at a time.
fn compile(go: &Path, name: &str, flags: &[&str]) -> PathBuf {
    static COMPILES: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let version = Command::new(go).arg("version").output();
    let version = version.unwrap_or_else(|error| panic!("this test needs {}: {error}", go.display())).stdout;
    let version = String::from_utf8(version).unwrap().split_whitespace().nth(2).unwrap().to_owned();
    let _one = COMPILES.lock().unwrap();
    let output = Path::new(env!("CARGO_TARGET_TMPDIR")).join("go-labels").join(version).join(name);
    // Programs that run cannot be written to.
    if !output.exists() {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/go/truth.go");
        let status = Command::new(go).arg("build").args(flags).arg("-o").arg(&output).arg(source).status();
        assert!(status.unwrap().success(), "go build");
    }
    output
}

/// Where a function is.
fn place(program: &Path, name: &str) -> Range<u64> {
    let bytes = std::fs::read(program).unwrap();
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
    let symbol = file.symbols().find(|symbol| symbol.name() == Ok(name));
    let symbol = symbol.unwrap_or_else(|| panic!("{} has no {name}", program.display()));
    symbol.address()..symbol.address() + symbol.size()
}
