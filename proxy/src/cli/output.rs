//! How commands show what is wrong, and write what they made.

use std::fs::File;
use std::io::{BufWriter, IsTerminal, Write};
use std::path::Path;

use alloy_syntax::Diagnostics;
use clap::{Args, ValueEnum};

use crate::config::{Source, json, render};

/// The flag `--format`.
#[derive(Debug, Clone, Copy, Args)]
pub(super) struct Format {
    /// How diagnostics are shown
    #[arg(long, value_enum, default_value_t = Shape::Text)]
    format: Shape,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// With the line of the source that they are about
    Text,
    /// One JSON object a line, for editors and CI
    Json,
}

impl Format {
    /// The diagnostics as text, for standard error, or as JSON.
    pub(super) fn show(self, diagnostics: &Diagnostics, sources: &[Source]) -> String {
        match self.format {
            Shape::Text => render(diagnostics, sources, std::io::stderr().is_terminal()),
            Shape::Json => json(diagnostics),
        }
    }

    /// Whether programs read it: then nothing else is said.
    pub(super) fn is_json(self) -> bool {
        self.format == Shape::Json
    }
}

/// Writes to standard output. Where that is closed, as behind `| head`, there is no one to tell.
pub(super) fn print(text: &str) {
    let _told = std::io::stdout().write_all(text.as_bytes());
}

/// Writes to standard error.
pub(super) fn complain(text: &str) {
    let _told = std::io::stderr().write_all(text.as_bytes());
}

/// Creates a file, or empties it.
pub(super) fn create(path: &Path) -> Result<(&Path, File), String> {
    let file = File::create(path).map_err(|error| format!("{} cannot be written: {error}", path.display()))?;
    Ok((path, file))
}

/// Writes the whole content of a file.
pub(super) fn write(
    path: &Path,
    file: File,
    content: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<(), String> {
    let mut file = BufWriter::new(file);
    content(&mut file)
        .and_then(|()| file.flush())
        .map_err(|error| format!("{} cannot be written: {error}", path.display()))
}
