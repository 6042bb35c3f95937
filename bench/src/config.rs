//! What a large configuration costs before anything runs: its text parsed, judged as a whole, and formatted.

#![allow(clippy::print_stdout, reason = "the table is what this benchmark is for")]

use std::hint::black_box;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use alloy_syntax::format_file;
use anyhow::{Context, anyhow, ensure};
use clap::{Args, value_parser};
use flamegate::component::Services;
use flamegate::components::KINDS;
use flamegate::config::{Source, Sources};
use flamegate::filters::FilterHost;
use flamegate::graph::{Graph, Text};
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
        fastest.validate = fastest.validate.min(took.validate);
        fastest.format = fastest.format.min(took.format);
    }

    let components = fastest.components;
    println!("{components} components, {:.1} MB       seconds   components/s", text.len() as f64 / 1e6);
    let total = fastest.parse + fastest.validate;
    for (name, took) in [
        ("parse", fastest.parse),
        ("validate", fastest.validate),
        ("parse and validate", total),
        ("format", fastest.format),
    ] {
        let seconds = took.as_secs_f64();
        println!("{name:<28}{seconds:>10.3}{:>15.0}", components as f64 / seconds);
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let [idle, read, formatted] = [idle, fastest.memory_of_reading, fastest.memory_of_formatting].map(megabytes);
    println!("peak memory {read:.1} MB, {formatted:.1} MB once it was formatted too, {idle:.1} MB before");
    println!("goal: 10,000 components parsed and validated in less than a second");
    Ok(())
}

/// What one round took. The memory is the first round's: later ones find what the allocator has kept.
struct Took {
    components: usize,
    parse: Duration,
    validate: Duration,
    format: Duration,
    /// The peak after parsing and validating, in bytes.
    memory_of_reading: u64,
    /// The peak after formatting besides, in bytes.
    memory_of_formatting: u64,
}

fn measure(text: &str) -> anyhow::Result<Took> {
    let source = Source { name: "bench.alloy".to_owned(), text: text.to_owned() };
    let sources = Sources { files: vec![source], folder: PathBuf::new() };
    let began = Instant::now();
    let parsed = Text::parse(black_box(&sources))?;
    let parse = began.elapsed();

    let services = Services::new(PathBuf::new(), FilterHost::default());
    let began = Instant::now();
    let checked = Graph::check(&parsed, KINDS, &services);
    let validate = began.elapsed();
    drop(checked.map_err(|refused| anyhow!("the benchmark's text is wrong: {}", refused.diagnostics))?);
    let memory_of_reading = peak_memory()?;

    let file = parsed.files.first().context("the text has no file")?;
    let began = Instant::now();
    let formatted = format_file(black_box(file));
    let format = began.elapsed();
    ensure!(formatted.trim_end() == text.trim_end(), "the benchmark's text is not as the formatter has it");
    let memory_of_formatting = peak_memory()?;

    let components = file.body.statements.len();
    Ok(Took { components, parse, validate, format, memory_of_reading, memory_of_formatting })
}

/// The most physical memory that this process ever had, in bytes.
fn peak_memory() -> anyhow::Result<u64> {
    let status = Process::myself().and_then(|process| process.status()).context("cannot read this process' status")?;
    let peak = status.vmhwm.context("the kernel does not say what the most memory was")?;
    Ok(peak * 1024)
}
