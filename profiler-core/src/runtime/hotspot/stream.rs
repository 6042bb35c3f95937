//! Numbers as HotSpot compresses them (UNSIGNED5, `utilities/unsigned5.hpp`): up to five bytes, the lowest bits first; a
//! byte of 192 or more is followed by another one.

/// What a byte stands for that another one follows: 64 values each.
const FIRST_OF_MORE: u32 = 192;
const BITS: u32 = 6;
const LONGEST: u32 = 5;

/// Reads numbers one after the other.
#[derive(Debug)]
pub(super) struct Stream<'b> {
    bytes: &'b [u8],
    /// What is subtracted from each byte: 1 since 20, which leaves zero out.
    lowest: u32,
}

impl<'b> Stream<'b> {
    /// As this version of Java writes it.
    pub(super) fn new(bytes: &'b [u8], version: u32) -> Self {
        Self { bytes, lowest: (version >= 20).into() }
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u32> {
        let mut sum = 0_u32;
        for place in 0..LONGEST {
            let byte = u32::from(self.byte()?);
            sum = sum.wrapping_add(byte.checked_sub(self.lowest)?.wrapping_shl(place * BITS));
            if byte < FIRST_OF_MORE {
                break;
            }
        }
        Some(sum)
    }

    /// The lowest bit is the sign.
    pub(super) fn signed(&mut self) -> Option<i32> {
        let number = self.number()?;
        Some((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_they_were_written() {
        // What `UNSIGNED5::write_uint` of either version makes of a number.
        fn write(mut number: u32, lowest: u32) -> Vec<u8> {
            let single = FIRST_OF_MORE - lowest;
            let mut bytes = Vec::new();
            while number >= single && bytes.len() < 4 {
                number -= single;
                bytes.push((single + number % 64 + lowest) as u8);
                number >>= BITS;
            }
            bytes.push((number + lowest) as u8);
            bytes
        }
        for version in [17, 21] {
            let lowest = u32::from(version >= 20);
            for number in [0, 1, 190, 191, 192, 193, 255, 256, 12_000, 70_000, 1 << 20, 1 << 28, u32::MAX] {
                let bytes = write(number, lowest);
                assert_eq!(Stream::new(&bytes, version).number(), Some(number), "{version} {bytes:?}");
                assert_eq!(Stream::new(&bytes[..bytes.len() - 1], version).number(), None);
            }
        }
        assert_eq!(Stream::new(&[3], 17).signed(), Some(-2));
        assert_eq!(Stream::new(&[5], 25).signed(), Some(2));
        assert_eq!(Stream::new(&[0], 25).number(), None, "no number has a zero");
    }
}
