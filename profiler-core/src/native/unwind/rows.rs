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

#[cfg(test)]
mod tests {
    use super::*;

    const A: PackedRule = PackedRule(0x11);
    const B: PackedRule = PackedRule(0x21);
    const NONE: PackedRule = PackedRule::NONE;

    /// Functions of a file with code from 1000 to 1100, and the table that comes of them.
    type Case<'a> = (&'a [(u32, u32, &'a [(u32, PackedRule)])], &'a [(u32, PackedRule)]);

    #[test]
    fn functions_become_one_table() {
        let cases: [Case<'_>; 8] = [
            (&[], &[]),
            (&[(10, 20, &[(10, A), (15, B)])], &[(10, A), (15, B), (20, NONE)]),
            // In any order; with a gap between them, and without.
            (&[(30, 40, &[(30, A)]), (10, 20, &[(10, A)])], &[(10, A), (20, NONE), (30, A), (40, NONE)]),
            (&[(10, 20, &[(10, A)]), (20, 30, &[(20, A), (25, B)])], &[(10, A), (25, B), (30, NONE)]),
            // To the end of the code.
            (&[(90, 100, &[(90, A)])], &[(90, A), (100, NONE)]),
            // Of two for the same code the first.
            (&[(10, 20, &[(10, A)]), (10, 30, &[(10, B)])], &[(10, A), (20, NONE)]),
            // One that begins within another, and one that ends there too.
            (&[(10, 20, &[(10, A), (18, B)]), (15, 30, &[(15, B)])], &[(10, A), (15, B), (30, NONE)]),
            (&[(10, 40, &[(10, A)]), (20, 30, &[(20, B)])], &[(10, A), (20, B), (30, NONE)]),
        ];
        for (functions, expected) in cases {
            let mut pieces = pieces();
            let rows =
                |list: &[(u32, PackedRule)]| list.iter().map(|(pc, rule)| Row { pc: *pc, rule: *rule }).collect();
            for (start, end, list) in functions {
                pieces.add(&Function { start: *start, end: *end, rows: rows(list) }).unwrap();
            }
            assert_eq!(pieces.into_rows(100).unwrap().to_vec(), rows(expected), "{functions:?}");
        }
    }

    #[test]
    fn gaps_are_what_no_function_covers() {
        let mut pieces = pieces();
        for (start, end) in [(50, 60), (10, 30), (20, 25)] {
            pieces.add(&Function { start, end, rows: vec![Row { pc: start, rule: A }] }).unwrap();
        }
        assert_eq!(pieces.gaps(0, 100), [(0, 10), (30, 50), (60, 100)]);
        assert_eq!(pieces.gaps(12, 55), [(30, 50)]);
        assert_eq!(pieces.gaps(10, 30), []);
    }

    #[test]
    fn what_is_not_in_the_code_is_left_out() {
        let pieces = pieces();
        assert_eq!(pieces.in_code(1010, 10), Some((10, 20)));
        assert_eq!(pieces.in_code(1090, u64::MAX), Some((90, 100)));
        for (start, length) in [(0, 10), (999, 10), (1100, 1), (1010, 0), (u64::MAX, 10)] {
            assert_eq!(pieces.in_code(start, length), None, "{start}");
        }
    }

    fn pieces() -> Pieces {
        Pieces::new(&[Segment { offset: 0, address: 1000, size: 100 }], 1000)
    }
}
