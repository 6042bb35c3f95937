//! What a filter of profiles costs that hides the names of functions, beside the same done natively.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::hint::black_box;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{bail, ensure};
use bytes::Bytes;
use clap::Args;
use flamegate::filters::{ConfiguredFilter, FilterHost, FilterSettings, Tables, Verdict};
use flamegate::pipeline::Share;
use flate2::Compression;
use flate2::write::GzEncoder;
use profiler_core::labels::Labels;
use profiler_core::pprof::Profile;
use profiler_core::pprof::edit::{Edited, Editing};
use prost::Message;

use crate::load::pprof;
use crate::timing::fastest;

/// Flags of `profiles`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds of each case; the fastest counts, as the least disturbed
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: u32,
}

static REDACT: &[u8] = include_bytes!("../../guest-examples/redact.wasm");
/// What it puts in the place of a name.
const REDACTED: &str = "[redacted]";
/// Every second function or so has such a name.
const PREFIX: &str = "shop.(*Order1";
/// Samples and functions that make about 20 KB and 2 MB of gzip.
const SIZES: [(usize, u64); 2] = [(pprof::SAMPLES, pprof::FUNCTIONS), (55_000, 6000)];
const LIMIT: usize = 64 << 20;
/// The filter over decoding, renaming and encoding.
const GOAL: f64 = 2.0;

/// A name, and what makes the changed profile.
type Case<'a> = (&'a str, &'a dyn Fn(&Bytes) -> anyhow::Result<Bytes>);

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let (module, _) = FilterHost::default().load(REDACT)?;
    let filter = ConfiguredFilter::new(&module, settings())?;
    for (samples, functions) in SIZES {
        let profile = Bytes::from(pprof::gzip_of(samples, functions)?);
        let expected = names(&by_prost(&profile)?)?;
        let hidden = expected.iter().filter(|name| *name == REDACTED).count();
        ensure!(hidden > 0 && hidden < expected.len(), "{hidden} of {} functions are hidden", expected.len());
        let title =
            format!("{} KB of gzip, {samples} samples, {hidden} of {functions} functions hidden", profile.len() / 1000);
        println!("{title:<70}{:>10}   ratio", "ms");

        let mut first = None;
        let cases: [Case<'_>; 3] = [
            ("decoded, renamed and encoded by prost", &by_prost),
            ("edited as the host does, natively", &by_editing),
            ("edited by a filter of profiles in the sandbox", &|profile| by_filter(&filter, profile)),
        ];
        for (name, case) in cases {
            ensure!(names(&case(&profile)?)? == expected, "{name}: other functions are hidden");
            let millis = fastest(arguments.rounds, || case(black_box(&profile)))?;
            println!("{name:<70}{millis:>10.3}{:>8.2}", millis / *first.get_or_insert(millis));
        }
    }
    println!("goal: at most {GOAL} times prost");
    Ok(())
}

/// What a program does that knows the format alone: a new string for each hidden name.
fn by_prost(profile: &Bytes) -> anyhow::Result<Bytes> {
    let mut profile = Profile::from_bytes(profile, LIMIT)?;
    let redacted = profile.string_table.len() as i64;
    profile.string_table.push(REDACTED.to_owned());
    for function in &mut profile.function {
        let name = usize::try_from(function.name).ok().and_then(|place| profile.string_table.get(place));
        if name.is_some_and(|name| name.starts_with(PREFIX)) {
            (function.name, function.system_name, function.filename) = (redacted, redacted, 0);
        }
    }
    Ok(gzip(&profile.encode_to_vec())?.into())
}

fn by_editing(profile: &Bytes) -> anyhow::Result<Bytes> {
    let mut editing = Editing::open(profile, LIMIT)?;
    let (original, changes) = editing.parts();
    let profile = original.profile();
    for (place, function) in profile.function.iter().enumerate() {
        if profile.string(function.name).starts_with(PREFIX) {
            changes.rename_function(place, REDACTED, Some(""))?;
        }
    }
    changed(editing.finish()?)
}

fn by_filter(filter: &ConfiguredFilter, profile: &Bytes) -> anyhow::Result<Bytes> {
    let (verdict, edited) = filter.apply_to_profile(&Labels::empty(), profile, Share::unbounded())?;
    ensure!(verdict == Verdict::Unchanged, "the labels are changed: {verdict:?}");
    changed(edited)
}

fn changed(edited: Edited) -> anyhow::Result<Bytes> {
    match edited {
        Edited::Changed(bytes) => Ok(bytes),
        Edited::Unchanged | Edited::Empty => bail!("nothing was changed"),
    }
}

fn gzip(bytes: &[u8]) -> anyhow::Result<Vec<u8>> {
    // As the proxy does.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?)
}

fn names(profile: &Bytes) -> anyhow::Result<Vec<String>> {
    let profile = Profile::from_bytes(profile, LIMIT)?;
    Ok(profile.function.iter().map(|function| profile.string(function.name).to_owned()).collect())
}

fn settings() -> FilterSettings {
    FilterSettings {
        name: "bench".into(),
        config: PREFIX.to_owned(),
        tables: Arc::new(Tables::default()),
        capabilities: Vec::new(),
        timeout: Duration::from_secs(10),
        memory_limit: 64 << 20,
        cpu_share: 1.0,
    }
}
