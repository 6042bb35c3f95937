//! `flamegate fmt`.

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use alloy_syntax::format_source;
use clap::Args;

use super::fail;
use super::output::Format;
use crate::config::Source;

/// Flags of `fmt`.
#[derive(Debug, Args)]
pub struct FmtFlags {
    /// A configuration file; `-` or nothing for standard input
    #[arg(default_value = "-")]
    file: PathBuf,
    /// Writes the result to the file instead of standard output
    #[arg(short, long)]
    write: bool,
    /// Writes nothing, and fails if the file is not formatted
    #[arg(short, long)]
    test: bool,
    #[command(flatten)]
    format: Format,
}

/// Formats one file.
pub(super) fn run(flags: &FmtFlags) -> ExitCode {
    match formatted(flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(&message),
    }
}

fn formatted(flags: &FmtFlags) -> Result<(), String> {
    let stdin = flags.file.as_os_str() == "-";
    if flags.write && flags.test {
        return Err("cannot use -w and -t at the same time\n".to_owned());
    }
    if flags.write && stdin {
        return Err("cannot use -w with standard input\n".to_owned());
    }
    if !stdin && flags.file.is_dir() {
        return Err("cannot format a directory; name its files one by one\n".to_owned());
    }
    let source = if stdin { from_stdin()? } else { Source::read(&flags.file).map_err(|error| format!("{error}\n"))? };
    let text = format_source(&source.name, &source.text)
        .map_err(|diagnostics| flags.format.show(&diagnostics, std::slice::from_ref(&source)))?;
    let same = text == source.text;
    if flags.test {
        return if same { Ok(()) } else { Err(format!("file {} is not formatted correctly\n", source.name)) };
    }
    let written = match (flags.write, same) {
        (true, true) => Ok(()),
        (true, false) => std::fs::write(&flags.file, text),
        (false, _) => std::io::stdout().write_all(text.as_bytes()),
    };
    written.map_err(|error| format!("{}: cannot be written: {error}\n", source.name))
}

fn from_stdin() -> Result<Source, String> {
    let mut text = String::new();
    let read = std::io::stdin().lock().take(Source::MOST_BYTES + 1).read_to_string(&mut text);
    read.map_err(|error| format!("cannot read standard input: {error}\n"))?;
    if text.len() as u64 > Source::MOST_BYTES {
        return Err(format!("standard input: larger than {} bytes\n", Source::MOST_BYTES));
    }
    Ok(Source { name: "<stdin>".to_owned(), text })
}
