//! Base64 in both alphabets, with padding.

use ::base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use ::base64::{Engine, alphabet};

use super::{Body, Named};
use crate::value::{CallArguments, CallError, Value};

pub(super) const FUNCTIONS: &[Named] = &[
    ("from_base64", Body::Plain(|arguments| decode(arguments, &STANDARD, b"+/"))),
    ("from_URLbase64", Body::Plain(|arguments| decode(arguments, &URL_SAFE, b"-_"))),
    ("to_base64", Body::Plain(|arguments| encode(arguments, &STANDARD))),
    ("to_URLbase64", Body::Plain(|arguments| encode(arguments, &URL_SAFE))),
];

/// Bits behind the last whole byte are not looked at.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

fn encode(arguments: &CallArguments<'_, '_>, engine: &GeneralPurpose) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    Ok(Value::from(engine.encode(text)))
}

/// Line ends in the text are skipped.
fn decode(arguments: &CallArguments<'_, '_>, engine: &GeneralPurpose, extra: &[u8]) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    let joined: Vec<u8> = text.bytes().filter(|byte| !is_line_end(*byte)).collect();
    match engine.decode(&joined) {
        Ok(bytes) => Ok(Value::Bytes(bytes.into())),
        Err(_) => {
            let at = first_fault(text.as_bytes(), extra);
            Err(CallError::Function(format!("illegal base64 data at input byte {at}")))
        }
    }
}

fn is_line_end(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n')
}

/// The place that Go names: the first byte that does not belong there, or the start of a group of four that
/// is not whole.
fn first_fault(text: &[u8], extra: &[u8]) -> usize {
    let mut in_group = 0;
    let mut bytes = text.iter().enumerate().filter(|(_, byte)| !is_line_end(**byte));
    while let Some((at, &byte)) = bytes.next() {
        if byte.is_ascii_alphanumeric() || extra.contains(&byte) {
            in_group = (in_group + 1) % 4;
            continue;
        }
        if byte != b'=' || in_group < 2 {
            return at;
        }
        if in_group == 2 {
            match bytes.next() {
                Some((_, b'=')) => {}
                Some((at, _)) => return at.saturating_sub(1),
                None => return text.len(),
            }
        }
        // Behind the padding nothing may follow.
        return bytes.next().map_or(text.len(), |(at, _)| at);
    }
    text.len().saturating_sub(in_group)
}
