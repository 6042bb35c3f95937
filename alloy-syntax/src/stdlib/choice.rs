//! The first of several values that says something.

use crate::evaluate::Traced;
use crate::value::{CallArguments, CallError, OptionalSecret, Secret, Value};

/// The first argument that is not empty, else the last; `null` without any.
pub(super) fn coalesce<'e>(arguments: &CallArguments<'_, 'e>) -> Result<Traced<'e>, CallError> {
    let chosen = arguments.traced().find(|argument| !is_empty(&argument.value)).or(arguments.traced().last());
    Ok(chosen.cloned().unwrap_or_else(|| Traced::untraced(Value::Null)))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Int(number) => *number == 0,
        Value::Uint(number) => *number == 0,
        Value::Float(number) => *number == 0.0,
        Value::String(text) => text.is_empty(),
        Value::NonUtf8(bytes) | Value::Bytes(bytes) => bytes.is_empty(),
        Value::Array(elements) => elements.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Capsule(capsule) => {
            let secret: Option<&Secret> = capsule.downcast_ref();
            let optional: Option<&OptionalSecret> = capsule.downcast_ref();
            secret.is_some_and(Secret::is_empty)
                || optional.is_some_and(|secret| !secret.is_secret() && secret.expose().is_empty())
        }
        Value::Function(_) => false,
    }
}
