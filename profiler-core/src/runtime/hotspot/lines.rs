//! Lines of a method: a compressed table behind its bytecode.

use super::stream::Stream;

/// A class has no more than this.
const MAX_LINES: usize = 65_536;
/// The byte before a pair of numbers; any other one is both, five bits of bytecode and three of lines.
const PAIR: u8 = 0xff;

/// Where lines begin.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Lines(Box<[(u16, u16)]>);

impl Lines {
    /// Up to the zero that ends them, or to what is none.
    pub(super) fn read(bytes: &[u8], version: u32) -> Self {
        let mut stream = Stream::new(bytes, version);
        let (mut bytecode, mut line) = (0_i32, 0_i32);
        let mut lines = Vec::new();
        while let Some(next) = stream.byte().filter(|next| *next != 0) {
            let (forward, down) = if next == PAIR {
                let (Some(forward), Some(down)) = (stream.signed(), stream.signed()) else { break };
                (forward, down)
            } else {
                (i32::from(next >> 3), i32::from(next & 7))
            };
            (bytecode, line) = (bytecode.wrapping_add(forward), line.wrapping_add(down));
            let (Ok(bytecode), Ok(line)) = (u16::try_from(bytecode), u16::try_from(line)) else { break };
            if lines.len() >= MAX_LINES {
                break;
            }
            lines.push((bytecode, line));
        }
        // The end of a loop may come before its beginning.
        lines.sort_by_key(|(bytecode, _)| *bytecode);
        Self(lines.into())
    }

    /// Of a bytecode; 0: not known.
    pub(super) fn of(&self, bytecode: u32) -> u32 {
        let after = self.0.partition_point(|(begin, _)| u32::from(*begin) <= bytecode);
        after.checked_sub(1).and_then(|place| self.0.get(place)).map_or(0, |(_, line)| (*line).into())
    }

    /// The first one; 0: not known.
    pub(super) fn first(&self) -> u32 {
        self.0.iter().map(|(_, line)| u32::from(*line)).min().unwrap_or(0)
    }

    /// In bytes.
    pub(super) fn footprint(&self) -> usize {
        self.0.len() * size_of::<(u16, u16)>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_bytecode() {
        // Bytecode 0 in line 100, 4 in line 101, 20 in line 99.
        let lines = Lines::read(&[PAIR, 0, 192 + 8, 0, 4 << 3 | 1, PAIR, 32, 3, 0, 7], 17);
        assert_eq!(lines, Lines([(0, 100), (4, 101), (20, 99)].into()));
        assert_eq!([0, 3, 4, 19, 20, 500].map(|bytecode| lines.of(bytecode)), [100, 100, 101, 101, 99, 99]);
        assert_eq!(lines.first(), 99);
        assert_eq!((Lines::default().of(0), Lines::default().first()), (0, 0));
    }

    #[test]
    fn what_is_no_table_ends() {
        for bytes in [&[PAIR][..], &[PAIR, 1], &[PAIR, 0, 5], &[0xfe; 70_000], &[PAIR; 99]] {
            assert!(Lines::read(bytes, 21).0.len() <= MAX_LINES);
        }
    }
}
