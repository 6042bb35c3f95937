//! The command line: flags, nothing else.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod run;

pub use run::RunFlags;

/// Edge proxy for continuous profiles.
#[derive(Debug, Parser)]
#[command(name = "flamegate", version, about, arg_required_else_help = true)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs a configuration until it is told to stop
    Run(RunFlags),
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(flags) => run::run(&flags),
        }
    }
}
