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

/// The numbers, up to where the bytes are none.
pub(crate) fn numbers(mut packed: &[u8]) -> impl Iterator<Item = u64> {
    std::iter::from_fn(move || decode_varint(&mut packed).ok())
}
