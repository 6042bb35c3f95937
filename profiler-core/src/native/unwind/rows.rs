//! Rows in the making: pieces of code as they are found, then one table.

use super::super::elf::Segment;
use super::{MAX_ROWS, PackedRule, Row, UnwindError};

/// What is known of one function, or of other code that belongs together. Addresses are those of rows.
#[derive(Debug, Default)]
pub(super) struct Function {
    pub(super) start: u32,
    /// Behind its last byte.
    pub(super) end: u32,
    /// They lie within it, by rising addresses.
    pub(super) rows: Vec<Row>,
}

/// The rows of one function after the other.
#[derive(Debug)]
pub(super) struct Pieces {
    base: u64,
    segments: Box<[Segment]>,
    rows: Vec<Row>,
    list: Vec<Piece>,
}

#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Less the base, as in rows.
    start: u32,
    end: u32,
    /// Places among the rows.
    first: usize,
    after: usize,
}

impl Pieces {
    pub(super) fn new(segments: &[Segment], base: u64) -> Self {
        Pieces { base, segments: segments.into(), rows: Vec::new(), list: Vec::new() }
    }

    /// The part of a function that is code: linkers leave descriptions of functions that they have dropped, at
    /// addresses where no code is. In rows' addresses.
    pub(super) fn in_code(&self, start: u64, length: u64) -> Option<(u32, u32)> {
        let segment = self.segments.iter().find(|segment| segment.contains(start))?;
        let end = start.saturating_add(length).min(segment.end());
        let relative = |address: u64| address.checked_sub(self.base).and_then(|pc| u32::try_from(pc).ok());
        Some((relative(start)?, relative(end)?)).filter(|(start, end)| start < end)
    }

    /// Adds the rows of a function.
    pub(super) fn add(&mut self, function: &Function) -> Result<(), UnwindError> {
        let Function { start, end, ref rows } = *function;
        if rows.is_empty() {
            return Ok(());
        }
        if self.rows.len() + rows.len() + self.list.len() > MAX_ROWS {
            return Err(UnwindError::TooManyRows);
        }
        let first = self.rows.len();
        self.rows.extend_from_slice(rows);
        self.list.push(Piece { start, end, first, after: self.rows.len() });
        Ok(())
    }

    /// What no piece covers of some code, in rows' addresses.
    pub(super) fn gaps(&mut self, start: u32, end: u32) -> Vec<(u32, u32)> {
        self.sort();
        let mut gaps = Vec::new();
        let mut covered = start;
        for piece in &self.list {
            if piece.start >= end {
                break;
            }
            if piece.start > covered {
                gaps.push((covered, piece.start));
            }
            covered = covered.max(piece.end);
        }
        if covered < end {
            gaps.push((covered, end));
        }
        gaps
    }

    /// One table. Where pieces overlap, the one that begins later holds, and of those that begin together the one that
    /// was found first.
    pub(super) fn into_rows(mut self, end: u32) -> Result<Box<[Row]>, UnwindError> {
        self.sort();
        self.list.dedup_by_key(|piece| piece.start);
        let mut table = Table { rows: Vec::with_capacity(self.rows.len() + self.list.len()) };
        for (place, piece) in self.list.iter().enumerate() {
            let next = self.list.get(place + 1).map_or(end, |next| next.start);
            let rows = self.rows.get(piece.first..piece.after).unwrap_or_default();
            for row in rows.iter().take_while(|row| row.pc < piece.end.min(next)) {
                table.push(*row);
            }
            if piece.end < next {
                table.push(Row { pc: piece.end, rule: PackedRule::NONE });
            }
        }
        // Behind all code, so that no lookup goes beyond.
        if table.rows.last().is_some_and(|last| last.rule != PackedRule::NONE) {
            table.push(Row { pc: end, rule: PackedRule::NONE });
        }
        if table.rows.len() > MAX_ROWS {
            return Err(UnwindError::TooManyRows);
        }
        Ok(table.rows.into())
    }

    /// Stable: of pieces that begin together the first one found stays the first.
    fn sort(&mut self) {
        self.list.sort_by_key(|piece| piece.start);
    }
}

struct Table {
    rows: Vec<Row>,
}

impl Table {
    fn push(&mut self, row: Row) {
        match self.rows.last() {
            Some(last) if last.rule == row.rule => {}
            None if row.rule == PackedRule::NONE => {}
            _ => self.rows.push(row),
        }
    }
}
