//! Numbers as protobuf packs them: varints one after the other.

use prost::encoding::{decode_varint, encode_varint};

/// Adds a number.
#[inline]
pub(crate) fn push(packed: &mut Vec<u8>, number: u64) {
    match u8::try_from(number) {
        Ok(byte) if byte < 0x80 => packed.push(byte),
        _ => encode_varint(number, packed),
    }
}

/// Writes a number over what stands at a place, which moves behind it. What would stand behind all is lost.
#[inline]
pub(crate) fn put(packed: &mut [u8], at: &mut usize, mut number: u64) {
    while let Some(slot) = packed.get_mut(*at) {
        *at += 1;
        *slot = number as u8 & 0x7f;
        number >>= 7;
        if number == 0 {
            return;
        }
        *slot |= 0x80;
    }
}

/// The number at a place, which moves behind it; none where the bytes are none.
#[inline]
pub(crate) fn number_at(packed: &[u8], at: &mut usize) -> Option<u64> {
    let mut rest = packed.get(*at..)?;
    match rest.first() {
        Some(byte) if *byte < 0x80 => {
            *at += 1;
            Some(u64::from(*byte))
        }
        _ => {
            let length = rest.len();
            let number = decode_varint(&mut rest).ok()?;
            *at += length - rest.len();
            Some(number)
        }
    }
}

/// The numbers, up to where the bytes are none.
pub(crate) fn numbers(packed: &[u8]) -> impl Iterator<Item = u64> {
    let mut at = 0;
    std::iter::from_fn(move || number_at(packed, &mut at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let written = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, 1 << 32, u64::MAX];
        let mut pushed = Vec::new();
        written.iter().for_each(|number| push(&mut pushed, *number));
        let mut over = vec![0xff; pushed.len()];
        let mut at = 0;
        written.iter().for_each(|number| put(&mut over, &mut at, *number));
        assert_eq!((at, &over), (pushed.len(), &pushed));
        assert_eq!(numbers(&pushed).collect::<Vec<_>>(), written);
        assert_eq!(numbers(&[3, 0xff]).collect::<Vec<_>>(), [3]);
    }
}
