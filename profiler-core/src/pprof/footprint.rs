//! How much memory a message will take, told from its bytes: two bytes of input can stand for an entry of 72.

use bytes::Buf;
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

use super::{Function, Label, Line, Location, Mapping, Sample, ValueType};

/// About how many bytes of memory a message takes once it is decoded, without the spare capacity of its tables, which
/// may be as much again. Of a message that is damaged it is what stands before the damage: decoding fails there too.
pub fn decoded_len(message: &[u8]) -> usize {
    fields(message, |tag, field| match tag {
        1 | 11 => size_of::<ValueType>(),
        2 => size_of::<Sample>() + sample(field),
        3 => size_of::<Mapping>(),
        4 => size_of::<Location>() + fields(field, |tag, _| if tag == 4 { size_of::<Line>() } else { 0 }),
        5 => size_of::<Function>(),
        6 => size_of::<String>() + field.len(),
        _ => numbers(field),
    })
}

fn sample(message: &[u8]) -> usize {
    fields(message, |tag, field| match tag {
        1 | 2 => numbers(field),
        3 => size_of::<Label>(),
        _ => 0,
    })
}

/// Packed numbers take eight bytes each, and end with a byte below 0x80.
fn numbers(packed: &[u8]) -> usize {
    packed.iter().filter(|byte| **byte < 0x80).count() * size_of::<u64>()
}

/// The sum over all fields. A number that stands alone is handed over as if it were packed.
fn fields(mut message: &[u8], size: impl Fn(u32, &[u8]) -> usize) -> usize {
    let mut sum = 0_usize;
    while let Ok(Some((tag, field))) = next(&mut message) {
        sum = sum.saturating_add(size(tag, field));
    }
    sum
}

/// The next field, its tag before it; none at the end, or where the rest is cut short. A number that stands alone is as it is on
/// the wire.
pub(super) fn next<'a>(message: &mut &'a [u8]) -> Result<Option<(u32, &'a [u8])>, DecodeError> {
    if message.is_empty() {
        return Ok(None);
    }
    let (tag, wire_type) = decode_key(message)?;
    if wire_type == WireType::LengthDelimited {
        let length = usize::try_from(decode_varint(message)?).unwrap_or(usize::MAX);
        let Some(field) = message.get(..length) else { return Ok(None) };
        message.advance(length);
        return Ok(Some((tag, field)));
    }
    let before = *message;
    skip_field(wire_type, tag, message, DecodeContext::default())?;
    Ok(Some((tag, before.get(..before.len() - message.len()).unwrap_or_default())))
}
