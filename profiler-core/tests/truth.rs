//! Programs that count their own work: what the samples say of them is what they say of themselves. In C, C++, Rust and
//! Go, optimised and without frame pointers where the language leaves the choice, linked in each way, stripped or not.
//!
//! Needs root (or the capabilities that the sampler names) and the compilers, which the test command installs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

#[path = "truth/running.rs"]
mod running;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

use object::{Object, ObjectSymbol};
use profiler_core::kernel::{FrameKind, Stop};
use profiler_core::sampler::{Sampler, Scope, Settings, Trace};
use running::{Running, wait_for};

/// With so many, a share of one half is off by 2.5 points once in a hundred million times.
const ENOUGH: u64 = 3_000;
/// What the shares may be off: the five points.
const TOLERANCE: f64 = 0.05;

const C: &[&str] = &["cc", "-O2", "-fomit-frame-pointer", "-Wall", "-Werror"];
const CPP: &[&str] = &["g++", "-O2", "-fomit-frame-pointer", "-Wall", "-Werror"];
const RUST: &[&str] = &["rustc", "-O", "--edition=2024", "-Cforce-frame-pointers=no"];
const GO: &[&str] = &["go", "build"];

/// `.symtab` and what debuggers need.
const STRIPPED: bool = true;
const WHOLE: bool = false;

macro_rules! programs {
    ($($name:ident: $compiler:ident $source:literal $flags:expr, $stripped:expr;)*) => {
        $(#[test]
        fn $name() {
            agrees(&compile(stringify!($name), $compiler, $source, &$flags), $stripped);
        })*
    };
}

programs! {
    c_is_as_it_says: C "truth.c" [], WHOLE;
    c_linked_statically_is_as_it_says: C "truth.c" ["-static"], WHOLE;
    c_stripped_is_as_it_says: C "truth.c" [], STRIPPED;
    c_at_fixed_addresses_is_as_it_says: C "truth.c" ["-no-pie", "-O3"], STRIPPED;
    cpp_is_as_it_says: CPP "truth.cc" [], WHOLE;
    cpp_linked_statically_is_as_it_says: CPP "truth.cc" ["-static", "-O3"], STRIPPED;
    rust_is_as_it_says: RUST "truth.rs" [], WHOLE;
    rust_linked_statically_is_as_it_says: RUST "truth.rs" ["-Ctarget-feature=+crt-static"], STRIPPED;
    go_is_as_it_says: GO "truth.go" [], WHOLE;
    go_stripped_is_as_it_says: GO "truth.go" [], STRIPPED;
    go_with_c_is_as_it_says: GO "truth.go" ["-ldflags=-linkmode=external"], STRIPPED;
    go_collecting_garbage_is_as_it_says: GO "garbage.go" [], WHOLE;
    go_collecting_garbage_stripped_is_as_it_says: GO "garbage.go" ["-buildmode=pie"], STRIPPED;
}

/// What a program says of itself, and what the samples say of it.
fn agrees(program: &Path, is_stripped: bool) {
    let places = places(program);
    let running = Running::start(Command::new(if is_stripped { stripped(program) } else { program.to_owned() }));
    let settings = Settings { sample_rate: 997, ..Settings::new(Scope::Pids(vec![running.pid()])) };
    let sampler = Sampler::start(&settings).unwrap_or_else(|error| panic!("{error}"));
    // Until its threads run and the tables of all its files are in the kernel.
    let settled = |stacks: &[Trace]| !stacks.is_empty() && stacks.iter().all(|trace| trace.stop == Stop::Complete);
    wait_for(|| settled(&sampler.collect()));
    let mut stacks = Vec::new();
    wait_for(|| {
        stacks.extend(sampler.collect());
        count(&stacks, |_| true) >= ENOUGH
    });
    let said = running.ask();

    let complete = count(&stacks, |trace| trace.stop == Stop::Complete);
    let all = count(&stacks, |_| true);
    assert!(complete * 100 >= all * 99, "{complete} of {all} stacks reach the root: {:#?}", lost(&stacks));

    let seen: BTreeMap<&str, u64> = (places.iter())
        .map(|(function, place)| (function.as_str(), count(&stacks, |trace| is_in(&sampler, trace, program, place))))
        .collect();
    let (all_seen, all_said) = (seen.values().sum::<u64>(), said.values().sum::<u64>());
    assert!(all_seen * 2 > all, "of {all} samples {all_seen} are of the work");
    for (function, said) in &said {
        let seen = seen.get(function.as_str()).copied().unwrap_or_default() as f64 / all_seen as f64;
        let said = *said as f64 / all_said as f64;
        assert!((seen - said).abs() < TOLERANCE, "{function}: {seen} of the samples, {said} of the work");
    }
}

/// Why the others end, and at which addresses of their files.
fn lost(stacks: &[Trace]) -> Vec<String> {
    let lost = stacks.iter().filter(|trace| trace.stop != Stop::Complete);
    lost.map(|trace| {
        let frames = trace.user.iter().map(|frame| match (frame.kind, frame.by_pointer) {
            (FrameKind::Native, false) => format!("{:#x}", frame.address),
            (kind, by_pointer) => format!("{:#x} {kind:?}, by pointer: {by_pointer}", frame.address),
        });
        format!("{} times {:?}: {:?}", trace.count, trace.stop, frames.collect::<Vec<_>>())
    })
    .collect()
}

fn is_in(sampler: &Sampler, trace: &Trace, program: &Path, place: &Range<u64>) -> bool {
    // A copy without symbols has its code at the same addresses.
    let is_of_program = |file| sampler.file(file).is_some_and(|file| file.path.starts_with(program.to_str().unwrap()));
    let mut frames = trace.user.iter().filter(|frame| frame.kind == FrameKind::Native);
    frames.any(|frame| place.contains(&frame.address) && is_of_program(frame.file))
}

fn count(stacks: &[Trace], of: impl Fn(&Trace) -> bool) -> u64 {
    stacks.iter().filter(|trace| of(trace)).map(|trace| trace.count).sum()
}

/// Where the functions are that work, by their names.
fn places(program: &Path) -> BTreeMap<String, Range<u64>> {
    let bytes = std::fs::read(program).unwrap();
    let file = object::read::elf::ElfFile64::<object::Endianness>::parse(&*bytes).unwrap();
    let names = ["alpha", "beta", "gamma_"];
    let place = |name: &str| {
        let is_it = |symbol: &object::read::elf::ElfSymbol64<'_, '_>| {
            symbol.is_definition() && symbol.name().is_ok_and(|own| own == name || own == format!("main.{name}"))
        };
        let symbol = file.symbols().find(is_it).unwrap_or_else(|| panic!("{} has no {name}", program.display()));
        symbol.address()..symbol.address() + symbol.size()
    };
    names.map(|name| (name.to_owned(), place(name))).into()
}

/// In a folder of its own: tests run side by side.
fn compile(name: &str, compiler: &[&str], source: &str, flags: &[&str]) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let output = folder.join("truth");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/truth").join(source);
    let [tool, fixed @ ..] = compiler else { panic!("no compiler") };
    let mut command = Command::new(tool);
    command.args(fixed).args(flags).arg("-o").arg(&output).arg(&source);
    if source.extension().is_some_and(|extension| extension == "c" || extension == "cc") {
        command.arg("-lpthread");
    }
    let status = command.status().unwrap_or_else(|error| panic!("this test needs {tool}: {error}"));
    assert!(status.success(), "{tool}: {status}");
    output
}

/// A copy without symbols.
fn stripped(program: &Path) -> PathBuf {
    let output = program.with_extension("stripped");
    let status = Command::new("strip").arg("-o").args([&output, program]).status();
    let status = status.unwrap_or_else(|error| panic!("this test needs strip, of binutils: {error}"));
    assert!(status.success(), "strip: {status}");
    output
}
