//! Everything a developer of Flamegate runs, beyond cargo's own commands: `cargo xtask --help`.

#![allow(clippy::print_stdout, reason = "this program's output is what it prints")]

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Parser, Subcommand};

mod bench;
mod bpf;
mod cargo_tools;
mod checks;
mod clients;
mod debian;
mod dotnet;
mod fuzz;
mod guests;
mod java;
mod oracles;
mod rings;
mod selection;
mod soak;
mod steps;
mod wheels;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Everything a developer of Flamegate runs")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Installs what the tests need and runs them all
    Test {
        /// A Pyroscope server's binary: the end-to-end tests then run on it as well
        #[arg(long, value_name = "PATH")]
        pyroscope: Option<PathBuf>,
        /// Only this ring: checks, guests, units or end-to-end
        #[arg(long, value_name = "RING")]
        only: Option<rings::Ring>,
    },
    /// Builds the filters of guest-examples/ and writes the components, and the records of those that are compiled in
    Guests {
        /// Only those that are compiled in: no other language's toolchain is asked for
        #[arg(long)]
        built_in: bool,
    },
    /// Builds the programs of bpf/ that run in the kernel, and writes the objects and their record
    Bpf,
    /// Fetches async-profiler's library, which `pyroscope.java` loads into JVMs, with the user's own Maven
    FetchAsyncProfiler {
        /// The folder that it is put in; the tests and a build with `embedded-async-profiler` look into the default
        #[arg(long, value_name = "FOLDER")]
        into: Option<PathBuf>,
    },
    /// Builds and runs a benchmark: `cargo xtask bench load --help`
    Bench {
        /// The benchmark's name and its flags
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<String>,
    },
    /// Runs what takes longer than a test may
    Soak {
        #[command(subcommand)]
        soak: soak::Soak,
    },
}

fn main() -> anyhow::Result<()> {
    let root = root()?;
    match Cli::parse().command {
        Command::Test { pyroscope, only } => rings::run(&root, pyroscope.as_deref(), only),
        Command::Guests { built_in } => build_guests(&root, built_in),
        Command::Bpf => build_programs(&root),
        Command::FetchAsyncProfiler { into } => {
            java::fetch_profiler(&into.unwrap_or_else(|| java::profiler_folder(&root)))
        }
        Command::Bench { args } => bench::run(&root, &args),
        Command::Soak { soak } => soak::run(&root, soak),
    }
}

fn build_guests(root: &Path, only_built_in: bool) -> anyhow::Result<()> {
    for built in guests::build(root)? {
        let changed = if built.changed { "changed" } else { "as before" };
        println!("{}: {} bytes, {changed}: {}", built.name, built.size, built.component.display());
    }
    if !only_built_in {
        debian::provide_build_tools()?;
        guests::build_examples(root, &guests::LANGUAGES)?;
    }
    Ok(())
}

fn build_programs(root: &Path) -> anyhow::Result<()> {
    for built in bpf::build(root)? {
        let changed = if built.changed { "changed" } else { "as before" };
        println!("{}: {} bytes, {changed}", built.object.display(), built.size);
    }
    Ok(())
}

fn root() -> anyhow::Result<PathBuf> {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(xtask.parent().context("the checkout has moved: run `cargo clean -p xtask`")?.to_owned())
}
