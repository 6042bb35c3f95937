//! Operators on secrets: both sides are first brought to one type.

use crate::value::{OptionalSecret, Secret, Value};

/// What a side of an operator is, as far as secrets are concerned.
enum Side<'v> {
    Text(&'v str),
    Secret,
    Optional(&'v OptionalSecret),
    Other,
}

/// Both sides as one type, where one is a secret and the other can become one, or need not be one.
pub(super) fn unwrap_pair(left: &Value, right: &Value) -> (Value, Value) {
    let as_they_are = || (left.clone(), right.clone());
    match (side(left), side(right)) {
        (Side::Optional(a), Side::Secret) => (Secret::new(a.expose()).into(), right.clone()),
        (Side::Secret, Side::Optional(b)) => (left.clone(), Secret::new(b.expose()).into()),
        (Side::Secret, Side::Text(b)) => (left.clone(), Secret::new(b).into()),
        (Side::Text(a), Side::Secret) => (Secret::new(a).into(), right.clone()),
        (Side::Optional(a), Side::Text(b)) if a.is_secret() => (left.clone(), OptionalSecret::secret(b).into()),
        (Side::Text(a), Side::Optional(b)) if b.is_secret() => (OptionalSecret::secret(a).into(), right.clone()),
        (Side::Optional(a), Side::Text(_)) => (Value::string(a.expose()), right.clone()),
        (Side::Text(_), Side::Optional(b)) => (left.clone(), Value::string(b.expose())),
        _ => as_they_are(),
    }
}

fn side(value: &Value) -> Side<'_> {
    match value {
        Value::String(text) => Side::Text(text),
        Value::Capsule(capsule) => match (capsule.downcast_ref::<Secret>(), capsule.downcast_ref()) {
            (Some(_), _) => Side::Secret,
            (None, Some(optional)) => Side::Optional(optional),
            (None, None) => Side::Other,
        },
        _ => Side::Other,
    }
}
