//! Values in the form of the cases.

use alloy_syntax::{Environment, OptionalSecret, Scope, Secret, StdlibOptions, Value};
use base64::Engine;
use serde_json::{Value as Json, json};

use super::{same, text};

/// The scope and the environment that a file of cases asks for.
pub(super) fn scope(file: &Json) -> Scope {
    let variables = file["env"].as_object().into_iter().flatten();
    let variables = variables.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let options = StdlibOptions {
        experimental: true,
        environment: Environment::Fixed(variables.collect()),
        ..StdlibOptions::default()
    };
    let names = file["scope"].as_object().unwrap();
    Scope::stdlib(&options).extend(names.iter().map(|(name, value)| (name, from_json(value))))
}

fn from_json(json: &Json) -> Value {
    match json {
        Json::Number(number) => Value::Int(number.as_i64().unwrap()),
        Json::Object(fields) => Value::object(fields.iter().map(|(name, field)| (name, from_json(field)))),
        Json::String(text) => from_text(text),
        other => panic!("{other} in the scope"),
    }
}

fn from_text(text: &str) -> Value {
    let argument = |function: &str| text.strip_prefix(function)?.strip_prefix('(')?.strip_suffix(')');
    match (argument("secret"), argument("optional_secret")) {
        (Some(secret), _) => Secret::new(secret).into(),
        (None, Some(optional)) => match optional.split_once(',') {
            Some(("true", text)) => OptionalSecret::secret(text).into(),
            Some(("false", text)) => OptionalSecret::plain(text).into(),
            _ => panic!("{text} in the scope"),
        },
        (None, None) => Value::string(text),
    }
}

/// Whether a value is what a case wants; `unordered`: with its elements in any order.
pub(super) fn same_value(value: &Value, wanted: &Json, unordered: bool) -> Result<(), String> {
    let (mut got, mut wanted) = (to_json(value), normalized(wanted));
    if unordered {
        for side in [&mut got, &mut wanted] {
            if let Some(elements) = side["value"].as_array_mut() {
                elements.sort_by_key(Json::to_string);
            }
        }
    }
    same(got, wanted)
}

/// Floats are compared as numbers, not as text.
fn normalized(json: &Json) -> Json {
    match json {
        Json::Object(fields) if fields.get("type") == Some(&json!("float")) => {
            json!({"type": "float", "value": text(json, "value").parse::<f64>().unwrap()})
        }
        Json::Object(fields) => fields.iter().map(|(name, field)| (name.clone(), normalized(field))).collect(),
        Json::Array(elements) => elements.iter().map(normalized).collect(),
        other => other.clone(),
    }
}

pub(super) fn to_json(value: &Value) -> Json {
    match value {
        Value::Null => json!({"type": "null"}),
        Value::Int(number) => json!({"type": "int", "value": number.to_string()}),
        Value::Uint(number) => json!({"type": "uint", "value": number.to_string()}),
        Value::Float(number) => json!({"type": "float", "value": number}),
        Value::Bool(value) => json!({"type": "bool", "value": value}),
        Value::String(text) => json!({"type": "string", "value": **text}),
        Value::NonUtf8(bytes) => {
            json!({"type": "string", "base64": base64::engine::general_purpose::STANDARD.encode(bytes)})
        }
        Value::Array(_) | Value::Bytes(_) => {
            let elements: Vec<Json> = value.elements().unwrap().iter().map(to_json).collect();
            json!({"type": "array", "value": elements})
        }
        Value::Object(fields) => {
            let fields: Json = fields.iter().map(|(name, field)| (name.clone(), to_json(field))).collect();
            json!({"type": "object", "value": fields})
        }
        Value::Capsule(capsule) => match (capsule.downcast_ref::<Secret>(), capsule.downcast_ref()) {
            (Some(secret), _) => secret_to_json(secret),
            (None, Some(optional)) => optional_secret_to_json(optional),
            (None, None) => panic!("{capsule:?}"),
        },
        Value::Function(function) => panic!("{function:?}"),
    }
}

pub(super) fn secret_to_json(secret: &Secret) -> Json {
    json!({"type": "capsule", "capsule": "secret", "value": secret.expose()})
}

pub(super) fn optional_secret_to_json(secret: &OptionalSecret) -> Json {
    let (is_secret, value) = (secret.is_secret(), secret.expose());
    json!({"type": "capsule", "capsule": "optional_secret", "is_secret": is_secret, "value": value})
}
