//! The command line: flags, nothing else.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::filters::{COMPILE_COMMAND, compile_to_stdout};

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
    // Of a flag that is given twice the later counts, as with the reference: wrappers append theirs.
    #[command(args_override_self = true)]
    Run(Box<RunFlags>),
    /// Compiles a filter, from standard input or built in, to standard output; `run` calls it
    #[command(name = COMPILE_COMMAND, hide = true)]
    CompileFilter {
        /// A built-in filter's name
        builtin: Option<String>,
    },
}

impl Cli {
    /// Does what the command line says.
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Run(flags) => run::run(&flags),
            Command::CompileFilter { builtin } => match compile_to_stdout(builtin.as_deref()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(message) => run::fail(&format!("{message}\n")),
            },
        }
    }
}
