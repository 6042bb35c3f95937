//! The binary `flamegate`.

use std::process::ExitCode;

use clap::Parser;

/// Gives memory back to the system, and does not fragment under bodies of all sizes.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    flamegate::cli::Cli::parse().run()
}
