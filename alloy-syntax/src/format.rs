//! Prints trees as text, always in the same layout.

use crate::ast::{Expr, File};
use crate::diagnostic::Diagnostics;
use crate::parser::parse_file;

mod layout;
mod printer;
mod walk;

use printer::Printer;

/// Formats a file's text; the result ends with a line's end.
///
/// # Errors
///
/// What is wrong with the text: only what parses can be formatted.
pub fn format_source(name: &str, source: &str) -> Result<String, Diagnostics> {
    parse_file(name, source).map(|file| format_file(&file))
}

/// Formats a parsed file, its comments included; the result ends with a line's end.
pub fn format_file(file: &File) -> String {
    let mut printer = Printer::new(&file.comments);
    printer.body(&file.body);
    let mut text = printer.finish();
    text.push('\n');
    text
}

/// Formats one expression, without a line's end behind it.
pub fn format_expression(expression: &Expr) -> String {
    let mut printer = Printer::new(&[]);
    printer.expression(expression);
    printer.finish()
}
