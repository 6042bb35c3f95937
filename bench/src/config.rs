//! What a large configuration costs before anything runs: its text parsed, formatted and decoded.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_syntax::ast::{Block, File};
use alloy_syntax::{
    Arguments, Capsule, CapsuleValue, DecodeError, DecodeValue, Scope, StdlibOptions, Value, decode_block,
    decode_capsule, format_file, parse_file,
};
use anyhow::{Context, ensure};
use clap::{Args, value_parser};
use procfs::process::Process;

mod text;

/// Flags of `config`.
#[derive(Debug, Args)]
pub(crate) struct Flags {
    /// Components of the configuration, in chains of ten
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(10..=1_000_000))]
    components: u32,
    /// Rounds; the fastest counts, as the least disturbed
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// Measures and prints.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let text = text::chains(flags.components / text::CHAIN);
    let idle = peak_memory()?;
    let mut fastest = measure(&text)?;
    for _ in 1..flags.rounds {
        let took = measure(&text)?;
        fastest.parse = fastest.parse.min(took.parse);
        fastest.decode = fastest.decode.min(took.decode);
        fastest.format = fastest.format.min(took.format);
    }

    let components = fastest.components;
    println!("{components} components, {:.1} MB       seconds   components/s", text.len() as f64 / 1e6);
    let total = fastest.parse + fastest.decode;
    for (name, took) in
        [("parse", fastest.parse), ("decode", fastest.decode), ("parse and decode", total), ("format", fastest.format)]
    {
        let seconds = took.as_secs_f64();
        println!("{name:<28}{seconds:>10.3}{:>15.0}", components as f64 / seconds);
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let [idle, read, formatted] = [idle, fastest.memory_of_reading, fastest.memory_of_formatting].map(megabytes);
    println!("peak memory {read:.1} MB, {formatted:.1} MB once it was formatted too, {idle:.1} MB before");
    Ok(())
}

/// What one round took. The memory is the first round's: later ones find what the allocator has kept.
struct Took {
    components: usize,
    parse: Duration,
    decode: Duration,
    format: Duration,
    /// The peak after parsing and decoding, in bytes.
    memory_of_reading: u64,
    /// The peak after formatting besides, in bytes.
    memory_of_formatting: u64,
}

fn measure(text: &str) -> anyhow::Result<Took> {
    let began = Instant::now();
    let file = parse_file("bench.alloy", black_box(text))?;
    let parse = began.elapsed();

    let began = Instant::now();
    let scope = scope(&file);
    for block in file.body.blocks() {
        decode_component(block, &scope)?;
    }
    let decode = began.elapsed();
    let memory_of_reading = peak_memory()?;

    let began = Instant::now();
    let formatted = format_file(black_box(&file));
    let format = began.elapsed();
    ensure!(formatted.trim_end() == text.trim_end(), "the benchmark's text is not as the formatter has it");
    let memory_of_formatting = peak_memory()?;

    let components = file.body.statements.len();
    Ok(Took { components, parse, decode, format, memory_of_reading, memory_of_formatting })
}

/// The standard library, and under each component's name what it exports.
fn scope(file: &File) -> Scope {
    let receiver = Value::Capsule(Capsule::new(Receiver));
    let exports = Value::object([("receiver", receiver)]);
    let mut kinds: BTreeMap<&str, BTreeMap<String, Value>> = BTreeMap::new();
    for block in file.body.blocks() {
        let kind = block.name.last().map_or("", |name| name.name.as_str());
        let label = block.label_text().unwrap_or_default().to_owned();
        kinds.entry(kind).or_default().insert(label, exports.clone());
    }
    let kinds = kinds.into_iter().map(|(kind, labels)| (kind, Value::Object(Arc::new(labels))));
    Scope::stdlib(&StdlibOptions::default()).with("pyroscope", Value::object(kinds))
}

fn decode_component(block: &Block, scope: &Scope) -> anyhow::Result<()> {
    match block.full_name().as_str() {
        "pyroscope.write" => drop(black_box(decode_block::<Write>(block, scope)?)),
        _ => drop(black_box(decode_block::<Relabel>(block, scope)?)),
    }
    Ok(())
}

/// The most physical memory that this process ever had, in bytes.
fn peak_memory() -> anyhow::Result<u64> {
    let status = Process::myself().and_then(|process| process.status()).context("cannot read this process' status")?;
    let peak = status.vmhwm.context("the kernel does not say what the most memory was")?;
    Ok(peak * 1024)
}

// What the components' blocks hold, as far as the text has it.

#[derive(Arguments)]
#[expect(dead_code, reason = "decoded, not used")]
struct Write {
    #[alloy(attr, optional)]
    external_labels: BTreeMap<String, String>,
    #[alloy(block, optional, name = "endpoint")]
    endpoints: Vec<Endpoint>,
}

#[derive(Arguments)]
#[expect(dead_code, reason = "decoded, not used")]
struct Endpoint {
    #[alloy(attr)]
    url: String,
    #[alloy(attr, optional)]
    remote_timeout: Duration,
    #[alloy(attr, optional)]
    max_backoff_period: Duration,
    #[alloy(attr, optional)]
    headers: BTreeMap<String, String>,
}

#[derive(Arguments)]
#[expect(dead_code, reason = "decoded, not used")]
struct Relabel {
    #[alloy(attr)]
    forward_to: Vec<Next>,
    #[alloy(attr, default = 10_000)]
    max_cache_size: i64,
    #[alloy(block, optional, name = "rule")]
    rules: Vec<Rule>,
}

#[derive(Arguments)]
#[expect(dead_code, reason = "decoded, not used")]
struct Rule {
    #[alloy(attr, optional)]
    source_labels: Vec<String>,
    #[alloy(attr, default = "(.*)".to_owned())]
    regex: String,
    #[alloy(attr, optional)]
    target_label: String,
    #[alloy(attr, default = "$1".to_owned())]
    replacement: String,
    #[alloy(attr, default = "replace".to_owned())]
    action: String,
}

/// Stands for where profiles are pushed to.
struct Receiver;

impl CapsuleValue for Receiver {
    fn type_name(&self) -> &str {
        "receiver"
    }
}

#[expect(dead_code, reason = "decoded, not used")]
struct Next(Arc<Receiver>);

impl DecodeValue for Next {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        decode_capsule(value, "receiver").map(Self)
    }

    fn type_name() -> String {
        "receiver".to_owned()
    }
}
