//! `cargo xtask soak …`: what takes longer than anyone waits for before a change lands.

mod kernels;

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;

use crate::guests::Language;
use crate::{bench, debian, fuzz};

/// What to let run.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Soak {
    /// Fuzzes the configuration language and edits of profiles, and adds the inputs that reach new code to fuzz/corpus/
    Fuzz {
        /// How long in all
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
    },
    /// Calls the example filters in Go and JavaScript, the languages that collect garbage in the sandbox under load,
    /// and fails if their memory grows
    Guests {
        /// Calls of each
        #[arg(long, default_value_t = 1_000_000)]
        calls: u64,
    },
    /// Boots Debian's kernels 6.1 and 6.12 in QEMU, and fails if what is sampled there is not what runs there
    Kernels,
}

/// Runs it to its end.
///
/// # Errors
/// What it found, or what is missing for running it.
pub(crate) fn run(root: &Path, soak: Soak) -> anyhow::Result<()> {
    debian::provide_build_tools()?;
    match soak {
        Soak::Fuzz { minutes } => fuzz::run_and_keep(root, Duration::from_secs(60 * u64::from(minutes))),
        Soak::Guests { calls } => {
            bench::guests(root, &[Language::Go, Language::JavaScript], &["--calls".to_owned(), calls.to_string()])
        }
        Soak::Kernels => kernels::run(root),
    }
}
