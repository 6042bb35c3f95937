//! The values of literals.

use crate::ast::Literal;
use crate::quote::{quote, unquote};
use crate::token::TokenKind;
use crate::value::Value;

/// The value of a literal, or what is wrong with it.
pub(super) fn value(literal: &Literal) -> Result<Value, String> {
    let text = literal.text.as_str();
    match literal.kind {
        TokenKind::Bool => Ok(Value::Bool(text == "true")),
        TokenKind::Number => integer(text).map_or_else(|| float(text), Ok),
        TokenKind::Float => float(text),
        TokenKind::String => unquote(text).map(Value::text).ok_or_else(|| "invalid syntax".to_owned()),
        _ => Ok(Value::Null),
    }
}

/// Digits; a leading 0 makes them octal, and what is then no number is left to [`float`].
fn integer(text: &str) -> Option<Value> {
    let (digits, base) = match text.strip_prefix('0') {
        Some(digits) if !digits.is_empty() => (digits, 8),
        _ => (text, 10),
    };
    u64::from_str_radix(digits, base).ok().map(Value::from)
}

fn float(text: &str) -> Result<Value, String> {
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Value::Float(number)),
        Ok(_) => Err(format!("strconv.ParseFloat: parsing {}: value out of range", quote(text))),
        Err(_) => Err(format!("strconv.ParseFloat: parsing {}: invalid syntax", quote(text))),
    }
}
