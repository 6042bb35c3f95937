//! JSON.

use super::{Body, Named};
use crate::value::{CallArguments, CallError, Value};

mod encode;
mod surrogates;
mod syntax;

pub(super) const FUNCTIONS: &[Named] = &[("from_json", Body::Plain(from_json)), ("to_json", Body::Plain(to_json))];

fn from_json(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    let parsed = parse(&text).map_err(CallError::Function)?;
    Ok(value_of(parsed, &|number| Value::Float(number.as_f64().unwrap_or(f64::NAN))))
}

/// JSON as a value; what its numbers become is the caller's choice.
pub(super) fn value_of(json: serde_json::Value, number: &impl Fn(serde_json::Number) -> Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(value) => number(value),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(elements) => {
            Value::array(elements.into_iter().map(|element| value_of(element, number)))
        }
        serde_json::Value::Object(fields) => {
            Value::object(fields.into_iter().map(|(name, field)| (name, value_of(field, number))))
        }
    }
}

/// Parses JSON as Go does: its errors are in Go's words, and half a surrogate pair becomes U+FFFD.
pub(super) fn parse(text: &str) -> Result<serde_json::Value, String> {
    serde_json::from_str(text).or_else(|error| match syntax::first_error(text) {
        Some(problem) => Err(problem),
        None => serde_json::from_str(&surrogates::replace_lone(text)).map_err(|_| error.to_string()),
    })
}

fn to_json(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let value = arguments.value(0);
    if value.fields().is_none() {
        return Err(CallError::Function("jsonEncode only supports map".to_owned()));
    }
    encode::encode(value).map(Value::from).map_err(CallError::Function)
}
