//! The lines of a function's instructions, as each version writes them.

use super::layout::Lines;

/// Longest table, in bytes. The largest functions that programs write for themselves have some 100 KiB.
pub(super) const MAX_TABLE: u64 = 1 << 20;

/// Where instructions begin that are of a line, in bytes from the first, and the line: 0 where there is none. In the
/// order of the code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct LineTable(Box<[(u32, u32)]>);

impl LineTable {
    /// Reads a table; of one that is damaged, what comes before the damage.
    pub(super) fn read(format: Lines, table: &[u8], first_line: u32) -> Self {
        let mut rows = Rows { first: i64::from(first_line), last: None, rows: Vec::new() };
        match format {
            Lines::Steps => rows.steps(table),
            Lines::Ranges => rows.ranges(table),
            Lines::Locations => {
                // Ends where it is damaged.
                let _ = rows.locations(table);
            }
        }
        Self(rows.rows.into())
    }

    /// The line of the instruction at this place.
    pub(super) fn line(&self, place: u32) -> Option<u32> {
        let after = self.0.partition_point(|(from, _)| *from <= place);
        let (_, line) = self.0.get(after.checked_sub(1)?)?;
        Some(*line).filter(|line| *line != 0)
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        size_of_val(&*self.0)
    }
}

struct Rows {
    first: i64,
    last: Option<i64>,
    rows: Vec<(u32, u32)>,
}

impl Rows {
    fn add(&mut self, from: u32, line: i64) {
        if self.last != Some(line) {
            self.last = Some(line);
            self.rows.push((from, u32::try_from(line).unwrap_or(0)));
        }
    }

    /// `Objects/lnotab_notes.txt`: pairs of steps, of the place (unsigned) and of the line (signed from 3.6 on).
    fn steps(&mut self, table: &[u8]) {
        let (mut place, mut line) = (0_u32, self.first);
        self.add(0, line);
        for [step, lines] in table.as_chunks().0 {
            if *step != 0 {
                self.add(place, line);
                place = place.saturating_add(u32::from(*step));
            }
            line += i64::from(lines.cast_signed());
        }
        self.add(place, line);
    }

    /// The same of 3.10: ranges, each with the step of the line to it; -128 says that it has none.
    fn ranges(&mut self, table: &[u8]) {
        const NONE: i8 = -128;
        let (mut place, mut line) = (0_u32, self.first);
        for [length, lines] in table.as_chunks().0 {
            let lines = lines.cast_signed();
            if lines != NONE {
                line += i64::from(lines);
            }
            if *length != 0 {
                self.add(place, if lines == NONE { 0 } else { line });
            }
            place = place.saturating_add(u32::from(*length));
        }
    }

    /// `Objects/locations.md`, from 3.11 on: a kind and a length in the first byte of each entry.
    fn locations(&mut self, table: &[u8]) -> Option<()> {
        /// Instructions are counted in units of so many bytes.
        const UNIT: u32 = 2;
        let (mut place, mut line) = (0_u32, self.first);
        let mut bytes = table.iter().copied();
        while let Some(head) = bytes.next() {
            if head & 0x80 == 0 {
                return None;
            }
            let mut has_line = true;
            match head >> 3 & 15 {
                // Columns alone.
                0..=9 => skip(&mut bytes, 1)?,
                lines @ 10..=12 => {
                    line += i64::from(lines - 10);
                    skip(&mut bytes, 2)?;
                }
                13 => line += signed(&mut bytes)?,
                14 => {
                    line += signed(&mut bytes)?;
                    for _ in 0..3 {
                        number(&mut bytes)?;
                    }
                }
                _ => has_line = false,
            }
            self.add(place, if has_line { line } else { 0 });
            place = place.saturating_add((u32::from(head & 7) + 1) * UNIT);
        }
        Some(())
    }
}

fn skip(bytes: &mut impl Iterator<Item = u8>, count: usize) -> Option<()> {
    (0..count).try_for_each(|_| bytes.next().map(drop))
}

/// Six bits a byte, the lowest first; bit 6 says that there are more.
fn number(bytes: &mut impl Iterator<Item = u8>) -> Option<u32> {
    let mut value = 0_u32;
    for shift in (0..32).step_by(6) {
        let byte = bytes.next()?;
        value |= u32::from(byte & 0x3f) << shift;
        if byte & 0x40 == 0 {
            return Some(value);
        }
    }
    None
}

/// The sign is in the lowest bit.
fn signed(bytes: &mut impl Iterator<Item = u8>) -> Option<i64> {
    let value = number(bytes)?;
    let size = i64::from(value >> 1);
    Some(if value & 1 == 0 { size } else { -size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(format: Lines, table: &[u8], places: &[u32]) -> Vec<u32> {
        let table = LineTable::read(format, table, 10);
        places.iter().map(|place| table.line(*place).unwrap_or(0)).collect()
    }

    #[test]
    fn each_format_says_the_lines_that_python_says() {
        // def f(): three lines, the second of them a loop back: as `dis.findlinestarts` shows them.
        assert_eq!(
            lines(Lines::Steps, &[0, 1, 6, 1, 10, 255, 4, 3], &[0, 5, 6, 15, 16, 19, 20, 90]),
            [11, 11, 12, 12, 11, 11, 14, 14]
        );
        // A step of more than 127 lines, and one of more than 255 bytes, each in two pairs.
        assert_eq!(lines(Lines::Steps, &[4, 127, 0, 73, 255, 0, 5, 1], &[3, 4, 263, 264]), [10, 210, 210, 211]);
        assert_eq!(
            lines(Lines::Ranges, &[8, 1, 0, 127, 4, 1, 6, 128, 2, 254], &[0, 7, 8, 11, 12, 17, 18]),
            [11, 11, 139, 139, 0, 0, 137]
        );
        // One unit without a line, two in the next line, one of the same with columns, one thirty-three lines before.
        let locations = [0xf8, 0xd9, 0, 0, 0x80, 0, 0xe8, 0x43, 1];
        assert_eq!(lines(Lines::Locations, &locations, &[0, 2, 5, 6, 8, 9]), [0, 11, 11, 11, 0, 0]);
    }

    #[test]
    fn what_is_damaged_ends_the_table() {
        for format in [Lines::Steps, Lines::Ranges, Lines::Locations] {
            for length in 0..9 {
                for byte in [0, 0x7f, 0x80, 0xf8, 0xe8, 0xf0, 0xff] {
                    let table = LineTable::read(format, &vec![byte; length], u32::MAX);
                    let _ = table.line(u32::MAX);
                }
            }
        }
    }
}
