//! `cargo xtask test`: what can be said of the text first, then the filters, the units, and the whole program.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use clap::ValueEnum;

use crate::steps::{self, command, timed};
use crate::{bpf, checks, clients, debian, dotnet, fuzz, guests, java, selection};

/// A part of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ring {
    /// Format, lints, dependencies, spelling
    Checks,
    /// The built-in filters: sources, record and component belong together; the rebuilt one passes the cases. The
    /// examples in other languages, begun and built as a user does it, pass theirs
    Guests,
    /// The programs that run in the kernel: sources, record and objects belong together. Tests beside the code, the
    /// conformance cases, and a minute of fuzzing
    Units,
    /// The real binary with real SDKs and backends, and faults
    EndToEnd,
}

const RINGS: [Ring; 4] = [Ring::Checks, Ring::Guests, Ring::Units, Ring::EndToEnd];

/// For each filter the test that runs it, and the variable that hands the test the rebuilt one.
const TESTS_OF_GUESTS: [(&str, &str, &str); 5] = [
    ("enrich", "enrich_conformance", "FLAMEGATE_ENRICH_COMPONENT"),
    ("hostile", "hostile_filters", "FLAMEGATE_HOSTILE_COMPONENT"),
    ("probe", "profile_filters", "FLAMEGATE_PROBE_COMPONENT"),
    ("redact", "profile_filters", "FLAMEGATE_REDACT_COMPONENT"),
    ("relabel", "relabel_conformance", "FLAMEGATE_RELABEL_COMPONENT"),
];

/// With the build from an empty folder the step takes under two minutes; `cargo xtask soak fuzz` takes its time.
const FUZZING: Duration = Duration::from_secs(60);

/// Runs the rings one after the other and prints the minutes of each.
pub(crate) fn run(root: &Path, pyroscope: Option<&Path>, only: Option<Ring>) -> anyhow::Result<()> {
    debian::provide_build_tools()?;
    let mut minutes = Vec::new();
    for ring in RINGS.into_iter().filter(|ring| only.is_none_or(|only| only == *ring)) {
        println!("== {ring:?}");
        let took = timed(|| match ring {
            Ring::Checks => checks::run(root),
            Ring::Guests => built_in_filters(root).and_then(|()| example_filters(root)),
            Ring::Units => units(root),
            Ring::EndToEnd => end_to_end(root, pyroscope),
        });
        minutes.push((ring, took.with_context(|| format!("ring {ring:?} failed"))?));
    }
    println!("== all rings passed");
    for (ring, took) in minutes {
        println!("{took:6.1} min  {ring:?}");
    }
    Ok(())
}

fn built_in_filters(root: &Path) -> anyhow::Result<()> {
    let report = guests::check(root)?;
    for guest in &report.guests {
        let same = if guest.same_bytes { "the same bytes" } else { "not the recorded toolchain: bytes not compared" };
        println!("{}: rebuilt, {same}; committed {}", guest.name, guest.committed.display());
        let (_, test, variable) = TESTS_OF_GUESTS
            .iter()
            .find(|(name, ..)| *name == guest.name)
            .with_context(|| format!("no test is known that runs {}: name one in TESTS_OF_GUESTS", guest.name))?;
        steps::run(steps::test(root, &format!("--test {test}")).env(variable, guest.rebuilt.as_os_str()))?;
    }
    Ok(())
}

fn example_filters(root: &Path) -> anyhow::Result<()> {
    let components = guests::build_projects(root)?;
    steps::run(steps::test(root, "--test guests -- --ignored").env("FLAMEGATE_GUESTS", components))
}

fn units(root: &Path) -> anyhow::Result<()> {
    debian::provide_compilers()?;
    java::provide(root)?;
    dotnet::provide(root)?;
    let same = if bpf::check(root)? { "the same bytes" } else { "not the recorded compiler: bytes not compared" };
    println!("bpf: rebuilt, {same}");
    steps::run(&mut selection::units(root)?)?;
    steps::run(&mut steps::test(root, "--doc"))?;
    steps::run(&mut command(&root.join("guest-examples"), "cargo test --locked"))?;
    fuzz::run(root, FUZZING)
}

fn end_to_end(root: &Path, pyroscope: Option<&Path>) -> anyhow::Result<()> {
    clients::install(root)?;
    java::provide(root)?;
    dotnet::provide(root)?;
    debian::provide_containers()?;
    debian::provide_network_tools()?;
    steps::build_flamegate(root)?;
    let mut tests = selection::end_to_end(root)?;
    if let Some(server) = pyroscope {
        tests
            .env("PYROSCOPE_BIN", server.canonicalize().with_context(|| format!("no server at {}", server.display()))?);
    }
    steps::run(&mut tests)
}
