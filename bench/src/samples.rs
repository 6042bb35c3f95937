//! What it costs to change what is inside a profile, beside decoding and encoding it.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::hint::black_box;
use std::io::Write;

use bytes::Bytes;
use clap::Args;
use flate2::Compression;
use flate2::write::GzEncoder;
use profiler_core::pprof::Profile;
use profiler_core::pprof::edit::{Edited, Editing, LabelValue, SampleLabel};
use prost::Message;

use crate::load::pprof;
use crate::timing::fastest;

/// Flags of `samples`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Rounds of each case; the fastest counts, as the least disturbed
    #[arg(long, default_value_t = 30)]
    rounds: u32,
}

/// As many samples as make about 20 KB and 2 MB of gzip.
const SIZES: [usize; 2] = [pprof::SAMPLES, 165 * pprof::SAMPLES];
const LIMIT: usize = 64 << 20;
/// Different values of the label that is set.
const VALUES: usize = 50;

type Case = (&'static str, fn(&Bytes) -> anyhow::Result<usize>);

const CASES: [Case; 4] = [
    ("decoded and encoded natively", natively),
    ("opened, nothing changed", |profile| edited(profile, |_| Ok(()))),
    ("one function renamed", |profile| {
        edited(profile, |editing| Ok(editing.changes().rename_function(0, "x", None)?))
    }),
    ("two labels set on all samples", |profile| edited(profile, set_labels)),
];

/// Measures and prints.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    for samples in SIZES {
        let profile = Bytes::from(pprof::gzip(samples)?);
        println!("{samples} samples, {} KB of gzip {:>21}   ratio to native", profile.len() / 1000, "ms");
        let mut native = None;
        for (name, case) in CASES {
            let millis = fastest(arguments.rounds, || case(black_box(&profile)))?;
            println!("{name:<38}{millis:>13.3}{:>18.2}", millis / *native.get_or_insert(millis));
        }
    }
    Ok(())
}

fn natively(profile: &Bytes) -> anyhow::Result<usize> {
    let profile = Profile::from_bytes(profile, LIMIT)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&profile.encode_to_vec())?;
    Ok(encoder.finish()?.len())
}

fn edited(profile: &Bytes, change: impl Fn(&mut Editing) -> anyhow::Result<()>) -> anyhow::Result<usize> {
    let mut editing = Editing::open(profile, LIMIT)?;
    change(&mut editing)?;
    Ok(match editing.finish()? {
        Edited::Changed(bytes) => bytes.len(),
        Edited::Unchanged | Edited::Empty => 0,
    })
}

fn set_labels(editing: &mut Editing) -> anyhow::Result<()> {
    let values: Vec<String> = (0..VALUES).map(|value| format!("endpoint-{value}")).collect();
    let (original, changes) = editing.parts();
    for ((place, _), value) in original.profile().sample.iter().enumerate().zip(values.iter().cycle()) {
        let text = |key, value| SampleLabel { key, value: LabelValue::Text(value) };
        changes.set_sample_labels(place, [text("endpoint", value), text("env", "prod")])?;
    }
    Ok(())
}
