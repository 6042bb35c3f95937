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
    pub(super) fn bound(&mut self, end: u64) {
        self.bound = end.min(self.size);
        let within = self.bound.saturating_sub(self.base);
        self.stop = usize::try_from(within).unwrap_or(usize::MAX).min(self.filled).max(self.at);
    }

    pub(super) fn seek(&mut self, to: u64) {
        match to.checked_sub(self.base).and_then(|within| usize::try_from(within).ok()) {
            Some(within) if within <= self.filled => self.at = within,
            _ => (self.base, self.at, self.filled) = (to, 0, 0),
        }
        self.bound(self.bound);
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
        match self.byte()? {
            0 => Ok(None),
            1 => Ok(Some(Text::Here(String::new()))),
            2 => self.long().map(|id| Some(Text::Pooled(id))),
            3 => {
                let bytes = self.bytes()?;
                Ok(Some(Text::Here(String::from_utf8_lossy(&bytes).into_owned())))
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
                Ok(Some(Text::Here(String::from_utf16_lossy(&chars))))
            }
            // Latin 1 is the beginning of Unicode.
            5 => Ok(Some(Text::Here(self.bytes()?.into_iter().map(char::from).collect()))),
            _ => Err(self.damaged("a text is written in no known way")),
        }
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
        let Some(bytes) = self.window.get(self.at..self.stop).and_then(|rest| rest.first_chunk::<MOST_VARINT>()) else {
            return self.varint_at_the_edge();
        };
        // Most are states, lines, types: one byte.
        if bytes[0] < 0x80 {
            self.at += 1;
            return Ok(u64::from(bytes[0]));
        }
        let mut number = 0;
        for (place, byte) in bytes.iter().enumerate().take(MOST_VARINT - 1) {
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                self.at += place + 1;
                return Ok(number);
            }
        }
        self.at += MOST_VARINT;
        Ok(number | u64::from(bytes[MOST_VARINT - 1]) << 56)
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

    /// The length, then as many bytes; of very many only the first ones.
    fn bytes(&mut self) -> Result<Vec<u8>> {
        let length = self.int()?;
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
