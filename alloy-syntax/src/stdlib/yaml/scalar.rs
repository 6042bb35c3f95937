//! What a scalar means.

use super::timestamp;
use crate::quote::quote;
use crate::value::Value;

/// The value of a scalar. `core_type` is the name of its type where a tag like `!!int` gives one.
pub(super) fn value(text: &str, plain: bool, core_type: Option<&str>) -> Result<Value, String> {
    let wrong = |name: &str| format!("cannot decode !!str {} as a !!{name}", quote(text));
    match core_type {
        Some("str") => Ok(Value::string(text)),
        Some("binary") => decode_binary(text).ok_or_else(|| "!!binary value contains invalid base64 data".to_owned()),
        Some("float") => float(text)
            .or_else(|| Some(Value::Float(crate::value::number::Number::of(&integer(text)?)?.to_float())))
            .ok_or_else(|| wrong("float")),
        Some("int") => integer(text).ok_or_else(|| wrong("int")),
        Some(name @ ("null" | "bool")) => word(text).ok_or_else(|| wrong(name)),
        Some("timestamp") => timestamp::parse(text).map(Value::from).ok_or_else(|| wrong("timestamp")),
        _ if plain => Ok(resolve(text)),
        _ => Ok(Value::string(text)),
    }
}

fn resolve(text: &str) -> Value {
    word(text)
        .or_else(|| timestamp::parse(text).map(Value::from))
        .or_else(|| integer(text))
        .or_else(|| float(text))
        .unwrap_or_else(|| Value::string(text))
}

fn word(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "true" | "True" | "TRUE" => Some(Value::Bool(true)),
        "false" | "False" | "FALSE" => Some(Value::Bool(false)),
        ".nan" | ".NaN" | ".NAN" => Some(Value::Float(f64::NAN)),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Some(Value::Float(f64::INFINITY)),
        "-.inf" | "-.Inf" | "-.INF" => Some(Value::Float(f64::NEG_INFINITY)),
        _ => None,
    }
}

/// With a sign; of base 16, 8 or 2 by `0x`, `0o` or `0`, `0b`; with `_` anywhere.
fn integer(text: &str) -> Option<Value> {
    if !text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-')) {
        return None;
    }
    let plain = text.replace('_', "");
    let negative = plain.starts_with('-');
    let digits = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let lower = digits.to_ascii_lowercase();
    let (digits, base) = if let Some(digits) = lower.strip_prefix("0x") {
        (digits, 16)
    } else if let Some(digits) = lower.strip_prefix("0b") {
        (digits, 2)
    } else if let Some(digits) = lower.strip_prefix("0o") {
        (digits, 8)
    } else if lower.len() > 1
        && let Some(digits) = lower.strip_prefix('0')
    {
        (digits, 8)
    } else {
        (lower.as_str(), 10)
    };
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(base)) {
        return None;
    }
    let number = u64::from_str_radix(digits, base).ok()?;
    if negative { 0_i64.checked_sub_unsigned(number).map(Value::Int) } else { Some(Value::from(number)) }
}

/// Decimal, with a point or an exponent or beyond every integer; with `_` anywhere.
fn float(text: &str) -> Option<Value> {
    let plain = text.replace('_', "");
    let unsigned = plain.strip_prefix(['+', '-']).unwrap_or(&plain);
    let decimal = unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && unsigned.contains(|c: char| c.is_ascii_digit())
        && unsigned.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let number: f64 = if decimal { plain.parse().ok()? } else { return None };
    number.is_finite().then_some(Value::Float(number))
}

fn decode_binary(text: &str) -> Option<Value> {
    use ::base64::Engine;
    let joined: String = text.split_ascii_whitespace().collect();
    ::base64::engine::general_purpose::STANDARD.decode(joined).ok().map(Value::text)
}
