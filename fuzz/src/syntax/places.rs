//! Whether a diagnostic's place is in the text: whoever shows the line there relies on it.

use alloy_syntax::{Diagnostic, Diagnostics, Position};

use super::Broken;

/// Where the lines of a text begin.
pub(super) struct Places<'a> {
    length: usize,
    /// None of bytes that are no text.
    text: Option<&'a str>,
    /// Offsets, ascending; the first is 0.
    lines: Vec<usize>,
}

impl<'a> Places<'a> {
    pub(super) fn of(source: &'a [u8]) -> Self {
        let behind_ends = source.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
        let lines = std::iter::once(0).chain(behind_ends).collect();
        Self { length: source.len(), text: std::str::from_utf8(source).ok(), lines }
    }

    pub(super) fn check_all(&self, diagnostics: &Diagnostics) -> Result<(), Broken> {
        diagnostics.iter().try_for_each(|diagnostic| self.check(diagnostic))
    }

    /// Passes one that has no place at all.
    pub(super) fn check(&self, diagnostic: &Diagnostic) -> Result<(), Broken> {
        let Some(span) = diagnostic.span else { return Ok(()) };
        let broken = |place| Err(Broken::NoSuchPlace { diagnostic: Box::new(diagnostic.clone()), place });
        if !self.exists(span.start) || span.start.offset > span.end.offset {
            return broken(span.start);
        }
        if !self.exists(span.end) {
            return broken(span.end);
        }
        // Shown, as a user would see it.
        drop(diagnostic.to_string());
        Ok(())
    }

    /// Whether line, column and offset are those of one place, and no character is cut there.
    fn exists(&self, place: Position) -> bool {
        let line = self.lines.partition_point(|start| *start <= place.offset);
        let start = line.checked_sub(1).and_then(|at| self.lines.get(at));
        place.offset <= self.length
            && place.line == line
            && start.is_some_and(|start| place.column == place.offset - start + 1)
            && self.text.is_none_or(|text| text.is_char_boundary(place.offset))
    }
}
