//! Reading the primitive encodings of a JFR chunk; every length is checked against what is left.

use super::JfrError;

/// A string as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Text {
    Null,
    Inline(String),
    /// An id in the constant pool of `java.lang.String`.
    Pooled(i64),
}

#[derive(Debug, Clone)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn at(bytes: &'a [u8], position: usize) -> Self {
        Self { bytes, position }
    }

    pub(super) fn position(&self) -> usize {
        self.position
    }

    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    pub(super) fn byte(&mut self) -> Result<u8, JfrError> {
        let byte = self.bytes.get(self.position).copied().ok_or_else(|| self.truncated())?;
        self.position += 1;
        Ok(byte)
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], JfrError> {
        let end = self.position.checked_add(length).ok_or_else(|| self.truncated())?;
        let taken = self.bytes.get(self.position..end).ok_or_else(|| self.truncated())?;
        self.position = end;
        Ok(taken)
    }

    /// LEB128 of at most nine bytes, the ninth of which holds eight bits.
    pub(super) fn long(&mut self) -> Result<i64, JfrError> {
        let mut value = 0_u64;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value.cast_signed());
            }
        }
        Ok((value | u64::from(self.byte()?) << 56).cast_signed())
    }

    /// A count of things that follow, each of at least one byte.
    pub(super) fn count(&mut self) -> Result<usize, JfrError> {
        let at = self.position;
        let count = self.long()?;
        usize::try_from(count)
            .ok()
            .filter(|&count| count <= self.left())
            .ok_or_else(|| JfrError::malformed(at, format!("{count} items announced, {} bytes left", self.left())))
    }

    pub(super) fn text(&mut self) -> Result<Text, JfrError> {
        let at = self.position;
        Ok(match self.byte()? {
            0 => Text::Null,
            1 => Text::Inline(String::new()),
            2 => Text::Pooled(self.long()?),
            3 => {
                let length = self.count()?;
                let bytes = self.take(length)?.to_vec();
                Text::Inline(
                    String::from_utf8(bytes)
                        .map_err(|_| JfrError::malformed(at, "a string marked UTF-8 is no UTF-8"))?,
                )
            }
            4 => {
                let length = self.count()?;
                let mut units = Vec::with_capacity(length);
                for _ in 0..length {
                    let unit = u16::try_from(self.long()?).map_err(|_| JfrError::malformed(at, "a char over 65535"))?;
                    units.push(unit);
                }
                Text::Inline(String::from_utf16_lossy(&units))
            }
            5 => {
                let length = self.count()?;
                Text::Inline(self.take(length)?.iter().map(|&byte| char::from(byte)).collect())
            }
            other => {
                return Err(JfrError::malformed(at, format!("unknown string encoding {other}")));
            }
        })
    }

    fn truncated(&self) -> JfrError {
        JfrError::malformed(self.position, "the chunk ends in the middle of a value")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn longs() {
        let cases: [(&[u8], i64); 4] =
            [(&[0], 0), (&[0x80, 0x01], 128), (&[0x80, 0x80, 0x80, 0x80, 0x00], 0), (&[0xff; 9], -1)];
        for (bytes, value) in cases {
            let mut cursor = Cursor::at(bytes, 0);
            assert_eq!(cursor.long().unwrap(), value);
            assert_eq!(cursor.left(), 0);
        }
        assert!(Cursor::at(&[0x80], 0).long().is_err());
    }

    #[test]
    fn texts() {
        let cases: [(&[u8], Text); 6] = [
            (&[0], Text::Null),
            (&[1], Text::Inline(String::new())),
            (&[2, 7], Text::Pooled(7)),
            (&[3, 2, 0xc3, 0xa9], Text::Inline("é".to_owned())),
            (&[4, 1, 0xe9, 0x01], Text::Inline("é".to_owned())),
            (&[5, 1, 0xe9], Text::Inline("é".to_owned())),
        ];
        for (bytes, text) in cases {
            assert_eq!(Cursor::at(bytes, 0).text().unwrap(), text);
        }
        let refused: [&[u8]; 4] = [&[6], &[3, 9, 0], &[3, 1, 0xff], &[4, 1, 0xff, 0xff, 0x07]];
        for bytes in refused {
            assert!(Cursor::at(bytes, 0).text().is_err(), "{bytes:?}");
        }
    }
}
