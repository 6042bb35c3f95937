//! `flamegate filter`: what an author of filters needs, from an empty folder to a component that is tried out.

use std::borrow::Cow;
use std::fmt;
use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};

use super::fail;
use super::output::print;

mod advice;
mod bounds;
mod build;
mod component;
mod contract;
mod inspect;
mod interfaces;
mod new;
mod profile;
mod run;
mod show;
mod templates;
mod test;

/// What of `filter` is wanted.
#[derive(Debug, Subcommand)]
pub enum FilterCommand {
    /// Writes a filter to begin with, in a language of your choice
    New(new::NewFlags),
    /// Builds a filter by its Makefile, and says what has come of it
    Build(build::BuildFlags),
    /// Says what a component is: the world it fits, imports, exports, size, name
    Inspect(inspect::InspectFlags),
    /// Hands one series to a filter: labels before and after, what it logs and takes
    Run(run::RunFlags),
    /// Compares what a filter answers with what its cases say
    Test(test::TestFlags),
}

/// The flag `--format`.
#[derive(Debug, Clone, Copy, Args)]
struct Format {
    /// For whom it is written
    #[arg(long, value_enum, default_value_t = Reader::Text)]
    format: Reader,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reader {
    /// For people
    Text,
    /// For programs: one JSON object a line
    Json,
}

/// Does it. An error goes to standard error, whole, with what led to it.
pub(super) fn run(command: &FilterCommand) -> ExitCode {
    let done = match command {
        FilterCommand::New(flags) => new::run(flags),
        FilterCommand::Build(flags) => build::run(flags),
        FilterCommand::Inspect(flags) => inspect::run(flags),
        FilterCommand::Run(flags) => run::run(flags),
        FilterCommand::Test(flags) => test::run(flags),
    };
    match done {
        Ok(code) => code,
        Err(error) => fail(&format!("{}\n", harmless(&format!("{error:#}")))),
    }
}

/// Writes to standard output.
fn tell(text: &str) {
    print(&harmless(text));
}

/// What filters say, without what would speak to the terminal.
fn harmless(text: &str) -> Cow<'_, str> {
    let speaks = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(speaks) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if speaks(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// A number with its digits in threes.
struct Digits(u64);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_terminal_is_spoken_to_by_no_filter() {
        assert_eq!(harmless("größe\n\ta=\u{1b}[2Jb\r\u{9b}"), "größe\n\ta=\\u{1b}[2Jb\\r\\u{9b}");
    }

    #[test]
    fn digits_stand_in_threes() {
        for (number, shown) in [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(Digits(number).to_string(), shown);
        }
    }
}
