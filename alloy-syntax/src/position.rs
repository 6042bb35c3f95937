//! Places in a source text.

use std::fmt;

/// A place in a source text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in bytes, from 1.
    pub column: usize,
    /// Bytes before this place, from 0.
    pub offset: usize,
}

impl Position {
    /// The first place of a text.
    pub const START: Self = Self { line: 1, column: 1, offset: 0 };
}

impl Default for Position {
    fn default() -> Self {
        Self::START
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A piece of a source text; `end` is the place just behind its last byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// The first byte.
    pub start: Position,
    /// Just behind the last byte.
    pub end: Position,
}

impl Span {
    /// The piece from `start` up to `end`.
    pub fn new(start: Position, end: Position) -> Self {
        Self { start, end }
    }

    /// Whether the piece spreads over more than one line.
    pub fn is_multiline(&self) -> bool {
        self.end.line > self.start.line
    }
}
