//! The command line: flags, nothing else.

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::filters::{COMPILE_COMMAND, compile_to_stdout};

mod components;
mod convert;
mod filter;
mod fmt;
mod output;
mod profile;
mod queue;
mod run;
mod server;
mod tap;
mod terminal_text;
mod tls_client;
mod top;
mod validate;

pub use components::ComponentsFlags;
pub use convert::ConvertFlags;
pub use filter::FilterCommand;
pub use fmt::FmtFlags;
pub use profile::ProfileFlags;
pub use queue::QueueCommand;
pub use run::RunFlags;
pub use tap::TapFlags;
pub use top::TopFlags;
pub use validate::ValidateFlags;

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
    /// Formats a configuration file
    #[command(visible_alias = "format")]
    Fmt(FmtFlags),
    /// Says what is wrong with a configuration, without starting anything
    Validate(ValidateFlags),
    /// Says what may stand in a configuration: blocks, their arguments, defaults and exports
    Components(ComponentsFlags),
    /// Shows what flows through a running Flamegate, and what is wrong with it, in a terminal
    Top(TopFlags),
    /// Samples processes of this host for some seconds: a profile, a flame graph, or a table of functions
    Profile(ProfileFlags),
    /// Makes a pprof of a recording of Java Flight Recorder (JFR)
    Convert(ConvertFlags),
    /// For authors of filters: begins, builds, inspects, runs and tests one
    #[command(subcommand)]
    Filter(FilterCommand),
    /// What waits on disk for backends, and what they refused
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Prints the profiles that pass a component of a running process: labels before and after, and what became of them
    Tap(TapFlags),
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
            Command::Fmt(flags) => fmt::run(&flags),
            Command::Validate(flags) => validate::run(&flags),
            Command::Components(flags) => components::run(&flags),
            Command::Top(flags) => top::run(&flags),
            Command::Profile(flags) => profile::run(&flags),
            Command::Convert(flags) => convert::run(&flags),
            Command::Filter(command) => filter::run(&command),
            Command::Queue(command) => queue::run(&command),
            Command::Tap(flags) => tap::run(&flags),
            Command::CompileFilter { builtin } => match compile_to_stdout(builtin.as_deref()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(message) => fail(&format!("{message}\n")),
            },
        }
    }
}

fn fail(message: &str) -> ExitCode {
    output::complain(message);
    ExitCode::FAILURE
}
