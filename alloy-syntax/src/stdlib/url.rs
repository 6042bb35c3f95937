//! Text in a URL's query.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::{Body, Named};
use crate::quote::quote_bytes;
use crate::value::{CallArguments, CallError, Value};

pub(super) const FUNCTIONS: &[Named] = &[("url_encode", Body::Plain(encode)), ("url_decode", Body::Plain(decode))];

const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b' ');

fn encode(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    Ok(Value::from(utf8_percent_encode(&text, ESCAPED).to_string().replace(' ', "+")))
}

fn decode(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    if let Some(escape) = broken_escape(text.as_bytes()) {
        return Err(CallError::Function(format!("invalid URL escape {}", quote_bytes(escape))));
    }
    Ok(Value::text(percent_decode_str(&text.replace('+', " ")).collect()))
}

/// The first `%` that no two hexadecimal digits follow, with what does.
fn broken_escape(text: &[u8]) -> Option<&[u8]> {
    let start = (0..text.len()).find(|&at| {
        text.get(at) == Some(&b'%')
            && !matches!(text.get(at + 1..at + 3), Some(digits) if digits.iter().all(u8::is_ascii_hexdigit))
    })?;
    text.get(start..text.len().min(start + 3))
}
