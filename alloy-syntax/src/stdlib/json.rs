//! JSON.

use serde_json::error::Category;

use super::{Body, Named};
use crate::quote::quote_char;
use crate::value::{CallArguments, CallError, Value};

pub(super) const FUNCTIONS: &[Named] = &[("from_json", Body::Plain(from_json)), ("to_json", Body::Plain(to_json))];

fn from_json(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let text: String = arguments.decode(0)?;
    let parsed: serde_json::Value =
        serde_json::from_str(&text).map_err(|error| CallError::Function(describe(&error, &text)))?;
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

/// The error in Go's words, which name the character and where in the grammar it stands.
pub(super) fn describe(error: &serde_json::Error, text: &str) -> String {
    if error.classify() == Category::Eof {
        return "unexpected end of JSON input".to_owned();
    }
    let before: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let offset = before + error.column().saturating_sub(1);
    let Some(found) = text.get(offset..).and_then(|rest| rest.chars().next()) else {
        return error.to_string();
    };
    let problem = error.to_string();
    let context = match problem.split(" at line ").next().unwrap_or_default() {
        "key must be a string" => "looking for beginning of object key string",
        "trailing comma" if found == '}' => "looking for beginning of object key string",
        "trailing comma" | "expected value" => "looking for beginning of value",
        "expected `:`" => "after object key",
        "expected `,` or `}`" => "after object key:value pair",
        "expected `,` or `]`" => "after array element",
        "trailing characters" => "after top-level value",
        "control character (\\u0000-\\u001F) found while parsing a string" => "in string literal",
        "invalid escape" => "in string escape code",
        "invalid number" => "in numeric literal",
        _ => return problem,
    };
    format!("invalid character {} {context}", quote_char(found))
}

fn to_json(arguments: &CallArguments<'_, '_>) -> Result<Value, CallError> {
    arguments.expect(1)?;
    let value = arguments.value(0);
    if value.fields().is_none() {
        return Err(CallError::Function("jsonEncode only supports map".to_owned()));
    }
    let json = json_of(value).map_err(CallError::Function)?;
    let text = json.to_string();
    // As Go does, so that the text can stand in a web page.
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escaped.push_str(&format!("\\u{:04x}", u32::from(c))),
            other => escaped.push(other),
        }
    }
    Ok(Value::from(escaped))
}

fn json_of(value: &Value) -> Result<serde_json::Value, String> {
    use serde_json::Value as Json;
    Ok(match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => Json::from(*number),
        Value::Uint(number) => Json::from(*number),
        Value::Float(number) => json_float(*number)?,
        Value::String(text) => Json::from(text.as_ref()),
        Value::NonUtf8(bytes) => Json::from(String::from_utf8_lossy(bytes)),
        Value::Array(_) | Value::Bytes(_) => {
            let elements = value.elements().unwrap_or_default();
            Json::Array(elements.iter().map(json_of).collect::<Result<_, _>>()?)
        }
        Value::Object(_) | Value::Capsule(_) => {
            let fields = value
                .fields()
                .ok_or_else(|| format!("cannot encode {value:?}: use convert.nonsensitive if its text may be shown"))?;
            let fields: Result<_, String> =
                fields.iter().map(|(name, field)| Ok((name.clone(), json_of(field)?))).collect();
            Json::Object(fields?)
        }
        Value::Function(function) => return Err(format!("cannot encode the function {}", function.name())),
    })
}

/// Whole numbers without a fraction.
fn json_float(number: f64) -> Result<serde_json::Value, String> {
    /// Up to here a float tells every whole number from the next: 2^53.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[allow(clippy::cast_possible_truncation, reason = "a whole number within the range")]
        return Ok(serde_json::Value::from(number as i64));
    }
    serde_json::Number::from_f64(number)
        .map(serde_json::Value::Number)
        .ok_or_else(|| format!("json: unsupported value: {number}"))
}
