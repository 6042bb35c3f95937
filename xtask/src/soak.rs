//! `cargo xtask soak …`: what takes longer than anyone waits for before a change lands.

use std::path::Path;
use std::time::Duration;

use clap::Subcommand;

use crate::{debian, fuzz};

/// What to let run.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum Soak {
    /// Fuzzes the configuration language, and adds the inputs that reach new code to fuzz/corpus/
    Fuzz {
        /// How long
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=10_080))]
        minutes: u32,
    },
}

/// Runs it to its end.
///
/// # Errors
/// What it found, or what is missing for running it.
pub(crate) fn run(root: &Path, soak: Soak) -> anyhow::Result<()> {
    debian::provide_build_tools()?;
    match soak {
        Soak::Fuzz { minutes } => fuzz::run_and_keep(root, Duration::from_secs(60 * u64::from(minutes))),
    }
}
