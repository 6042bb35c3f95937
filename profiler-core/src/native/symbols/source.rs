//! Which lines of which files code comes from, and which functions were inlined into it.

use super::strings::Place;

/// Most rows of lines, and most functions that are inlined somewhere. The largest Go programs have four million.
pub(super) const MAX_ROWS: usize = 8 << 20;

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
    /// By rising addresses, once it is closed.
    pub(super) lines: Vec<LineRow>,
    /// From which address on code is of an inlined function, until the next row's; by rising addresses.
    pub(super) inlined_at: Vec<(u32, Option<u32>)>,
    pub(super) inlined: Vec<Inlined>,
    /// Whether there was more than is kept.
    pub(super) cut: bool,
}

impl SourceMap {
    pub(super) fn add_line(&mut self, row: LineRow) {
        if self.lines.len() < MAX_ROWS {
            self.lines.push(row);
        } else {
            self.cut = true;
        }
    }

    pub(super) fn add_inlined_at(&mut self, pc: u32, inlined: Option<u32>) {
        if self.inlined_at.len() < MAX_ROWS {
            self.inlined_at.push((pc, inlined));
        } else {
            self.cut = true;
        }
    }

    /// Its place.
    pub(super) fn add_inlined(&mut self, inlined: Inlined) -> Option<u32> {
        let place = u32::try_from(self.inlined.len()).ok().filter(|_| self.inlined.len() < MAX_ROWS);
        match place {
            Some(_) => self.inlined.push(inlined),
            None => self.cut = true,
        }
        place
    }

    /// Puts rows in order. Where one ends and another one begins, the one that begins counts.
    pub(super) fn close(&mut self) {
        self.lines.sort_by_key(|row| (row.pc, row.line != 0 || row.file != 0));
        self.lines.dedup_by(|next, before| {
            let is_same = next.pc == before.pc;
            if is_same {
                *before = *next;
            }
            is_same
        });
        self.lines.dedup_by_key(|row| (row.file, row.line));
        self.inlined_at.sort_by_key(|(pc, inlined)| (*pc, inlined.is_some()));
        self.inlined_at.dedup_by(|next, before| {
            let is_same = next.0 == before.0;
            if is_same {
                *before = *next;
            }
            is_same
        });
        self.inlined_at.dedup_by_key(|(_, inlined)| *inlined);
        self.lines.shrink_to_fit();
        self.inlined_at.shrink_to_fit();
    }
}
