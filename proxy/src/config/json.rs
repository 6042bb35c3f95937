//! Diagnostics for programs: one JSON object a line.

use alloy_syntax::{Diagnostic, Diagnostics, Position, Severity};
use serde::Serialize;

#[derive(Serialize)]
struct Line<'a> {
    severity: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    file: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Place>,
}

/// Lines and columns count from 1, columns in bytes; the offset counts bytes from 0. The end is the first that is not
/// part of it.
#[derive(Serialize)]
struct Place {
    line: usize,
    column: usize,
    offset: usize,
}

/// Writes each diagnostic on a line of its own.
pub fn json(diagnostics: &Diagnostics) -> String {
    diagnostics.iter().map(|diagnostic| format!("{}\n", line(diagnostic))).collect()
}

fn line(diagnostic: &Diagnostic) -> String {
    let line = Line {
        severity: match diagnostic.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        message: &diagnostic.message,
        help: diagnostic.help.as_deref(),
        file: &diagnostic.file,
        start: diagnostic.span.map(|span| Place::of(span.start)),
        end: diagnostic.span.map(|span| Place::of(span.end)),
    };
    // Strings and numbers always can be written.
    serde_json::to_string(&line).unwrap_or_default()
}

impl Place {
    fn of(position: Position) -> Self {
        Self { line: position.line, column: position.column, offset: position.offset }
    }
}
