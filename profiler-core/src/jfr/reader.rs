//! A window that moves over a recording, and the numbers and texts in it.

use super::error::{JfrError, Result};
use super::recording::Recording;

/// Large enough that a file is read in few calls, small beside everything else.
const WINDOW: usize = 256 << 10;
/// Of longer texts the rest is passed over. Java's own names are 65,535 bytes at most.
const MOST_TEXT: u64 = 64 << 10;
/// Seven bits a byte, and eight in the last one.
const MOST_VARINT: usize = 9;

/// How a number is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Byte,
    Short,
    Int,
    Long,
}

/// A text, or where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Here(String),
    /// In the pool of `java.lang.String`.
    Pooled(u64),
}

impl Text {
    /// In bytes.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Here(text) => text.len(),
            Self::Pooled(_) => 0,
        }
    }
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// There is none.
    Nowhere,
    Here,
    /// In the pool of `java.lang.String`.
    Pooled(u64),
}

pub(super) struct Reader<'r> {
    recording: &'r dyn Recording,
    size: u64,
    window: Box<[u8]>,
    /// The offset of the window's first byte.
    base: u64,
    /// The next byte, in the window.
    at: usize,
    /// How far the window may be read: it is filled up to there, and the bound is not before.
    stop: usize,
    filled: usize,
    bound: u64,
    /// Whether numbers take as many bytes as they need.
    compressed: bool,
}

impl<'r> Reader<'r> {
    pub(super) fn new(recording: &'r dyn Recording) -> Result<Self> {
        let size = recording.size().map_err(|source| JfrError::Read { offset: 0, source })?;
        let window = usize::try_from(size).unwrap_or(WINDOW).min(WINDOW);
        Ok(Self {
            recording,
            size,
            window: vec![0; window].into(),
            base: 0,
            at: 0,
            stop: 0,
            filled: 0,
            bound: size,
            compressed: true,
        })
    }

    /// Of the recording, in bytes.
    pub(super) fn size(&self) -> u64 {
        self.size
    }

    pub(super) fn position(&self) -> u64 {
        self.base + self.at as u64
    }

    pub(super) fn numbers_are_compressed(&mut self, compressed: bool) {
        self.compressed = compressed;
    }

    /// Nothing from `end` on is read.
    #[inline]
    pub(super) fn bound(&mut self, end: u64) {
        self.bound = end.min(self.size);
        let within = self.bound.saturating_sub(self.base);
        self.stop = usize::try_from(within).unwrap_or(usize::MAX).min(self.filled);
    }

    #[inline]
    pub(super) fn seek(&mut self, to: u64) {
        match to.checked_sub(self.base).and_then(|within| usize::try_from(within).ok()) {
            Some(within) if within <= self.filled => self.at = within,
            _ => (self.base, self.at, self.filled, self.stop) = (to, 0, 0, 0),
        }
    }

    pub(super) fn damaged(&self, what: &'static str) -> JfrError {
        JfrError::Damaged { offset: self.position(), what }
    }

    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        if self.at >= self.stop {
            self.refill()?;
        }
        let byte = self.window.get(self.at).copied().ok_or(JfrError::CutShort(self.base))?;
        self.at += 1;
        Ok(byte)
    }

    #[inline(always)]
    pub(super) fn number(&mut self, number: Number) -> Result<u64> {
        match number {
            Number::Byte => self.byte().map(u64::from),
            _ if self.compressed => self.varint(),
            Number::Short => self.fixed::<2>(),
            Number::Int => self.fixed::<4>(),
            Number::Long => self.fixed::<8>(),
        }
    }

    /// Whether such numbers take as many bytes as they need.
    pub(super) fn is_varint(&self, number: Number) -> bool {
        self.compressed && number != Number::Byte
    }

    #[inline]
    pub(super) fn int(&mut self) -> Result<u64> {
        self.number(Number::Int)
    }

    #[inline]
    pub(super) fn long(&mut self) -> Result<u64> {
        self.number(Number::Long)
    }

    pub(super) fn fixed<const BYTES: usize>(&mut self) -> Result<u64> {
        (0..BYTES).try_fold(0, |number, _| Ok(number << 8 | u64::from(self.byte()?)))
    }

    /// Passes over bytes.
    pub(super) fn skip(&mut self, bytes: u64) -> Result<()> {
        let to = self.position().checked_add(bytes).filter(|to| *to <= self.bound);
        self.seek(to.ok_or(JfrError::CutShort(self.bound))?);
        Ok(())
    }

    /// A text, or its beginning where it is very long; `None` where there is none.
    pub(super) fn text(&mut self) -> Result<Option<Text>> {
        let mut text = String::new();
        Ok(match self.append_text(&mut text)? {
            Standing::Nowhere => None,
            Standing::Here => Some(Text::Here(text)),
            Standing::Pooled(id) => Some(Text::Pooled(id)),
        })
    }

    /// Adds a text that stands here to another one.
    pub(super) fn append_text(&mut self, to: &mut String) -> Result<Standing> {
        match self.byte()? {
            0 => return Ok(Standing::Nowhere),
            1 => {}
            2 => return self.long().map(Standing::Pooled),
            3 => {
                let length = self.int()?;
                match self.utf8(length) {
                    Some(text) => {
                        to.push_str(text);
                        self.at += length as usize;
                    }
                    None => to.push_str(&String::from_utf8_lossy(&self.bytes(length)?)),
                }
            }
            4 => {
                let length = self.int()?;
                let mut chars = Vec::new();
                for place in 0..length {
                    let char = self.number(Number::Short)?;
                    if place < MOST_TEXT {
                        chars.push(char as u16);
                    }
                }
                to.push_str(&String::from_utf16_lossy(&chars));
            }
            // Latin 1 is the beginning of Unicode.
            5 => {
                let length = self.int()?;
                to.extend(self.bytes(length)?.into_iter().map(char::from));
            }
            _ => return Err(self.damaged("a text is written in no known way")),
        }
        Ok(Standing::Here)
    }

    pub(super) fn skip_text(&mut self) -> Result<()> {
        match self.byte()? {
            0 | 1 => Ok(()),
            2 => self.long().map(drop),
            3 | 5 => {
                let length = self.int()?;
                self.skip(length)
            }
            4 => {
                let length = self.int()?;
                (0..length).try_for_each(|_| self.number(Number::Short).map(drop))
            }
            _ => Err(self.damaged("a text is written in no known way")),
        }
    }

    #[inline(always)]
    fn varint(&mut self) -> Result<u64> {
        let Some(bytes) = self.window.get(self.at..self.stop).and_then(|rest| rest.first_chunk()) else {
            return self.varint_at_the_edge();
        };
        let (number, length) = varint(bytes);
        self.at += length;
        Ok(number)
    }

    /// Reads one number after the other, each to its place in `numbers`; one that has no place there is passed over.
    #[inline]
    pub(super) fn varints(&mut self, places: &[u8], numbers: &mut [u64]) -> Result<()> {
        let mut rest = self.window.get(self.at..self.stop).unwrap_or_default();
        for (read, place) in places.iter().enumerate() {
            let Some(bytes) = rest.first_chunk() else {
                self.at = self.stop.max(self.at) - rest.len();
                return self.varints_at_the_edge(places.get(read..).unwrap_or_default(), numbers);
            };
            let (number, length) = varint(bytes);
            rest = rest.get(length..).unwrap_or_default();
            if let Some(slot) = numbers.get_mut(usize::from(*place)) {
                *slot = number;
            }
        }
        self.at = self.stop.max(self.at) - rest.len();
        Ok(())
    }

    #[cold]
    fn varints_at_the_edge(&mut self, places: &[u8], numbers: &mut [u64]) -> Result<()> {
        for place in places {
            let number = self.varint()?;
            if let Some(slot) = numbers.get_mut(usize::from(*place)) {
                *slot = number;
            }
        }
        Ok(())
    }

    #[cold]
    fn varint_at_the_edge(&mut self) -> Result<u64> {
        let mut number = 0;
        for place in 0..MOST_VARINT - 1 {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Ok(number | u64::from(self.byte()?) << 56)
    }

    /// The next bytes, where all of them are in the window and text.
    fn utf8(&self, length: u64) -> Option<&str> {
        let length = usize::try_from(length).ok().filter(|_| length <= MOST_TEXT)?;
        str::from_utf8(self.window.get(self.at..self.stop)?.get(..length)?).ok()
    }

    /// So many bytes; of very many only the first ones.
    fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        let mut left = length.min(MOST_TEXT) as usize;
        let mut bytes = Vec::new();
        while left > 0 {
            if self.at >= self.stop {
                self.refill()?;
            }
            let rest = self.window.get(self.at..self.stop).unwrap_or_default();
            let part = rest.get(..left).unwrap_or(rest);
            bytes.extend_from_slice(part);
            left -= part.len();
            self.at += part.len();
        }
        self.skip(length.saturating_sub(MOST_TEXT))?;
        Ok(bytes)
    }

    /// Fills the window from the position on: one byte at least.
    #[cold]
    fn refill(&mut self) -> Result<()> {
        let offset = self.position();
        if offset >= self.bound {
            return Err(JfrError::CutShort(offset));
        }
        (self.base, self.at, self.filled) = (offset, 0, 0);
        let read = self.recording.read_at(&mut self.window, offset);
        self.filled = read.map_err(|source| JfrError::Read { offset, source })?;
        self.bound(self.bound);
        // The file has become shorter while it is read.
        if self.stop == 0 { Err(JfrError::CutShort(offset)) } else { Ok(()) }
    }
}

/// The number at the beginning, and how many bytes it takes.
#[inline(always)]
fn varint(bytes: &[u8; MOST_VARINT]) -> (u64, usize) {
    let [first, .., last] = *bytes;
    // Most are states, lines, types: one byte.
    if first < 0x80 {
        return (u64::from(first), 1);
    }
    // As one array it is loaded at once; byte by byte it is not.
    let word = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    // The highest bit of each byte that is the last one of a number.
    let ends = !word & 0x8080_8080_8080_8080;
    if ends == 0 {
        return (sevens(word) | u64::from(last) << 56, MOST_VARINT);
    }
    let bits = ends.trailing_zeros() + 1;
    (sevens(word & (u64::MAX >> (u64::BITS - bits))), bits as usize / 8)
}

/// The seven lower bits of each byte, side by side.
#[inline(always)]
fn sevens(word: u64) -> u64 {
    let pairs = (word & 0x007f_007f_007f_007f) | ((word & 0x7f00_7f00_7f00_7f00) >> 1);
    let fours = (pairs & 0x0000_3fff_0000_3fff) | ((pairs & 0x3fff_0000_3fff_0000) >> 2);
    (fours & 0x0fff_ffff) | ((fours & 0x0fff_ffff_0000_0000) >> 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_all_lengths_are_read() {
        for bits in 0..64 {
            for number in [1 << bits, (1 << bits) - 1, u64::MAX >> bits, 0x1234_5678_9abc_def0 >> bits] {
                let mut bytes = Vec::new();
                let mut rest = number;
                while bytes.len() < MOST_VARINT - 1 && rest >= 0x80 {
                    bytes.push(rest as u8 | 0x80);
                    rest >>= 7;
                }
                bytes.push(rest as u8);
                let length = bytes.len();
                let behind = [bytes, vec![0xff; MOST_VARINT]].concat();
                assert_eq!(varint(behind.first_chunk().unwrap()), (number, length));
                let recording = &behind[..length];
                assert_eq!(Reader::new(&recording).unwrap().long().unwrap(), number, "at the end of a file");
            }
        }
    }
}
