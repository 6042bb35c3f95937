//! Which place in its source a piece of code is of (`source-position-table.cc`), and which bytecode one of the baseline
//! compiler's is of (`bytecode-offset-iterator.h`).

/// A place in a source, and the function that it is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position(u64);

impl Position {
    /// `SourcePosition`: a bit that says that it is a file's of V8, 30 bits of the place in the source, one more than it
    /// is, and 16 of the number of the inlined function.
    pub(super) fn of(bits: u64) -> Self {
        Self(bits)
    }

    /// In characters from the script's beginning.
    pub(super) fn offset(self) -> Option<u32> {
        let is_of_script = self.0 & 1 == 0;
        (self.0 >> 1 & ((1 << 30) - 1)).checked_sub(1).filter(|_| is_of_script).map(|offset| offset as u32)
    }

    /// The place among the inlined functions; none of the function that was compiled itself.
    pub(super) fn inlined(self) -> Option<u64> {
        (self.0 >> 31 & 0xffff).checked_sub(1)
    }
}

/// The entries of a table: code, and from where on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Positions(Vec<(i32, Position)>);

/// How a table says how far the next entry's code is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Steps {
    /// With a sign, which says whether it is a statement.
    Signed,
    /// Above two bits: whether it is a statement, and whether a debugger may stop there (from V8 14 on).
    Marked,
}

/// Entries of one table.
const MAX_ENTRIES: usize = 256 << 10;

impl Positions {
    /// As far as it can be understood.
    pub(super) fn read(table: &[u8], steps: Steps) -> Self {
        let mut entries = Vec::new();
        let mut rest = table.iter();
        // `kFunctionEntryBytecodeOffset`
        let (mut code, mut position) = (-1_i32, 0_u64);
        while entries.len() < MAX_ENTRIES
            && let Some(step) = steps.next(&mut rest)
            && let Some(moved) = signed(&mut rest)
        {
            code = code.wrapping_add(step as i32);
            position = position.wrapping_add_signed(moved);
            entries.push((code, Position(position)));
        }
        Self(entries)
    }

    /// That of the instruction at so many bytes from the first one.
    pub(super) fn at(&self, offset: i32) -> Option<Position> {
        let after = self.0.partition_point(|(code, _)| *code <= offset);
        self.0.get(after.checked_sub(1)?).map(|(_, position)| *position)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        self.0.len() * size_of::<(i32, Position)>()
    }
}

impl Steps {
    fn next<'a>(self, table: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
        match self {
            Self::Signed => {
                let step = signed(table)?;
                Some(if step < 0 { !step } else { step }.cast_unsigned())
            }
            Self::Marked => Some(unsigned(table)? >> 2),
        }
    }
}

/// How many bytes each bytecode has: by its number, and by how its operands are scaled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct BytecodeSizes(Vec<u8>);

/// `Bytecode::kWide`, `kExtraWide` and the same for debuggers (bytecodes.h): they come before the bytecode that they widen.
const WIDE: [u8; 2] = [0, 2];
const EXTRA_WIDE: [u8; 2] = [1, 3];

impl BytecodeSizes {
    /// `kBytecodeSizes`
    pub(super) fn of(table: Vec<u8>) -> Self {
        Self(table)
    }

    /// With what widens it, in bytes.
    fn length(&self, bytecodes: &[u8]) -> Option<usize> {
        let count = self.0.len() / 3;
        let (before, scale, bytecode) = match *bytecodes {
            [first, bytecode, ..] if WIDE.contains(&first) => (1, 1, bytecode),
            [first, bytecode, ..] if EXTRA_WIDE.contains(&first) => (1, 2, bytecode),
            [bytecode, ..] => (0, 0, bytecode),
            [] => return None,
        };
        let length = *self.0.get(scale * count + usize::from(bytecode)).filter(|_| usize::from(bytecode) < count)?;
        (length > 0).then(|| before + usize::from(length))
    }

    /// The bytecode that an instruction of the baseline compiler is of: both as bytes from the first. `table` has the
    /// number of bytes of machine code for what comes first, and for each bytecode.
    pub(super) fn bytecode_at(&self, table: &[u8], bytecodes: &[u8], instruction: u32) -> Option<i32> {
        let mut rest = table.iter();
        let mut end = unsigned(&mut rest)?;
        let mut at = 0;
        let mut found = -1;
        while end <= instruction.into() {
            found = i32::try_from(at).ok()?;
            at += self.length(bytecodes.get(at..)?)?;
            end = end.checked_add(unsigned(&mut rest)?)?;
        }
        Some(found)
    }
}

/// `base::VLQDecodeUnsigned`: seven bits in each byte, the lowest first; the highest bit says that more follow.
pub(super) fn unsigned<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.next()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn signed<'a>(bytes: &mut impl Iterator<Item = &'a u8>) -> Option<i64> {
    unsigned(bytes).map(sign)
}

/// The sign is the lowest bit.
pub(super) fn sign(value: u64) -> i64 {
    (value >> 1).cast_signed() ^ -((value & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of `run` in V8 11.3, as its process had it.
    const TABLE: &[u8] = &[
        0x01, 0x84, 0x0a, 0x02, 0x54, 0x09, 0x14, 0x0b, 0x00, 0x0f, 0x18, 0x08, 0x38, 0x04, 0x5c, 0x09, 0x17, 0x0b,
        0x00, 0x0f, 0x18,
    ];

    #[test]
    fn positions_are_read_as_v8_writes_them() {
        let positions = Positions::read(TABLE, Steps::Signed);
        let offset = |at| positions.at(at).unwrap().offset();
        assert_eq!(offset(-1), Some(320));
        assert_eq!((offset(0), offset(3)), (Some(341), Some(341)));
        assert_eq!((offset(4), offset(15)), (Some(346), Some(346)));
        assert_eq!(positions.at(-2), None);
        assert!(positions.0.iter().all(|(_, position)| position.inlined().is_none()));
        let inlined = Position::of(2 << 31 | (173 << 1));
        assert_eq!((inlined.inlined(), inlined.offset()), (Some(1), Some(172)));
        assert_eq!(Position::of(0).offset(), None);
        assert_eq!(Position::of(7).offset(), None);
    }

    #[test]
    fn marked_steps_say_the_same() {
        // The same function in V8 14.6, where its bytecodes are others.
        let table = [0x02, 0x84, 0x0a, 0x07, 0x54, 0x12, 0x14, 0x16, 0x00, 0x1e, 0x18, 0x13, 0x38];
        let positions = Positions::read(&table, Steps::Marked);
        let entries: Vec<_> = positions.0.iter().map(|(code, position)| (*code, position.offset().unwrap())).collect();
        assert_eq!(entries, [(-1, 320), (0, 341), (4, 346), (9, 346), (16, 352), (20, 366)]);
    }

    #[test]
    fn what_is_cut_off_ends_a_table() {
        let whole = Positions::read(TABLE, Steps::Signed);
        for length in 0..TABLE.len() {
            let cut = Positions::read(&TABLE[..length], Steps::Signed);
            assert!(whole.0.starts_with(&cut.0), "{length}");
        }
        Positions::read(&[0xff; 1000], Steps::Signed);
        Positions::read(&[0xff; 1000], Steps::Marked);
    }

    #[test]
    fn code_of_the_baseline_compiler_is_that_of_its_bytecode() {
        // Three bytecodes: 4 is one byte long, 5 two, and 5 that is widened four.
        let sizes = BytecodeSizes::of(vec![1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1, 1, 5]);
        let bytecodes = [4, 0, 5, 1, 0, 5, 7];
        let table = [10, 5, 6, 7];
        let at = |instruction| sizes.bytecode_at(&table, &bytecodes, instruction);
        assert_eq!([at(0), at(9)], [Some(-1); 2]);
        assert_eq!([at(10), at(14)], [Some(0); 2]);
        assert_eq!([at(15), at(20)], [Some(1); 2]);
        assert_eq!([at(21), at(27)], [Some(5); 2]);
        assert_eq!(at(28), None);
        assert_eq!(BytecodeSizes::of(Vec::new()).bytecode_at(&table, &bytecodes, 20), None);
    }
}
