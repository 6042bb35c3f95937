//! Which lines of which files code comes from, and which functions were inlined into it.

use super::strings::Place;

/// From which address on a line holds, until the next row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineRow {
    pub(super) pc: u32,
    /// The file. None where nothing is known of the code.
    pub(super) file: Place,
    pub(super) line: u32,
}

/// A function that was inlined into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Inlined {
    pub(super) name: Place,
    /// Where its caller, which is inlined too, stands among all; less than its own place.
    pub(super) caller: Option<u32>,
    /// From where it is called.
    pub(super) call_file: Place,
    pub(super) call_line: u32,
    /// Where it is declared.
    pub(super) line: u32,
}

/// What a file says of its sources.
#[derive(Debug, Default)]
pub(super) struct SourceMap {
    /// By rising addresses.
    pub(super) lines: Vec<LineRow>,
    /// From which address on code is of an inlined function, until the next row's; by rising addresses.
    pub(super) inlined_at: Vec<(u32, Option<u32>)>,
    pub(super) inlined: Vec<Inlined>,
}
