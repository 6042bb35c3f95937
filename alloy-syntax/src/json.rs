//! Values and bodies as JSON, in the form of the reference's API.

use serde_json::{Map, Number as JsonNumber, Value as Json, json};

use crate::encode::EncodedStatement;
use crate::value::number::Number;
use crate::value::{Capsule, Value};

/// A body: an array of `{"name", "type": "attr", "value"}` and `{"name", "type": "block", "label", "body"}`,
/// the latter without `label` if it has none.
pub fn body(statements: &[EncodedStatement]) -> Json {
    Json::Array(statements.iter().map(statement).collect())
}

/// A value: `{"type", "value"}`. An array holds such pairs, an object is a list of `{"key", "value"}` by key,
/// a function shows no more than that it is one, a capsule what it shows to a person, else its type.
pub fn value(value: &Value) -> Json {
    let (kind, shown) = match value {
        Value::Null => ("null", Json::Null),
        Value::Bool(value) => ("bool", Json::Bool(*value)),
        Value::String(text) => ("string", Json::from(&**text)),
        Value::NonUtf8(bytes) => ("string", Json::from(String::from_utf8_lossy(bytes))),
        Value::Int(_) | Value::Uint(_) | Value::Float(_) => ("number", number(value)),
        Value::Array(elements) => ("array", elements.iter().map(self::value).collect()),
        Value::Bytes(_) => ("array", value.elements().unwrap_or_default().iter().map(self::value).collect()),
        Value::Object(_) => ("object", fields(value)),
        Value::Function(_) => ("function", Json::from("function")),
        Value::Capsule(capsule) => match capsule.to_object() {
            Some(object) => ("object", fields(&object)),
            None => ("capsule", Json::from(capsule_text(capsule))),
        },
    };
    json!({"type": kind, "value": shown})
}

fn statement(statement: &EncodedStatement) -> Json {
    match statement {
        EncodedStatement::Attribute { name, value } => {
            json!({"name": name, "type": "attr", "value": self::value(value)})
        }
        EncodedStatement::Block { name, label, body } => {
            let mut block = Map::new();
            block.insert("name".to_owned(), Json::from(name.as_str()));
            block.insert("type".to_owned(), Json::from("block"));
            if let Some(label) = label.as_deref().filter(|label| !label.is_empty()) {
                block.insert("label".to_owned(), Json::from(label));
            }
            block.insert("body".to_owned(), self::body(body));
            Json::Object(block)
        }
    }
}

/// Of double precision, as the reference has it. What JSON has no number for becomes `null`.
fn number(value: &Value) -> Json {
    let float = Number::of(value).map_or(f64::NAN, Number::to_float);
    // Whole numbers are written without a point, as Go writes them; this is as far as the conversion is exact.
    let number = if float.fract() == 0.0 && float.abs() < WHOLE_LIMIT {
        Some(JsonNumber::from(Number::Float(float).to_int()))
    } else {
        JsonNumber::from_f64(float)
    };
    number.map_or(Json::Null, Json::Number)
}

/// 2^63: no `i64` is larger.
const WHOLE_LIMIT: f64 = 9_223_372_036_854_775_808.0;

fn fields(object: &Value) -> Json {
    let fields = object.fields().unwrap_or_default();
    fields.iter().map(|(key, field)| json!({"key": key, "value": value(field)})).collect()
}

fn capsule_text(capsule: &Capsule) -> String {
    let shown = capsule.display().filter(|shown| !shown.is_empty());
    shown.unwrap_or_else(|| format!("capsule({})", crate::quote::quote(capsule.type_name())))
}
