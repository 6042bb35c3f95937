//! Bools, numbers and strings.

use std::sync::Arc;

use super::{DecodeError, DecodeValue};
use crate::value::number::Number;
use crate::value::{OptionalSecret, Secret, Value};

impl DecodeValue for Value {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        Ok(value.clone())
    }

    fn encode_value(&self) -> Value {
        self.clone()
    }

    fn type_name() -> String {
        "any".to_owned()
    }
}

impl DecodeValue for bool {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        match value {
            Value::Null => Ok(false),
            Value::Bool(value) => Ok(*value),
            other => Err(DecodeError::expected("bool", other)),
        }
    }

    fn encode_value(&self) -> Value {
        Value::Bool(*self)
    }

    fn type_name() -> String {
        "bool".to_owned()
    }
}

impl DecodeValue for String {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        const NOT_UTF8: &str = "is not valid UTF-8";
        match value {
            Value::Null => Ok(Self::new()),
            Value::String(text) => Ok(text.as_ref().to_owned()),
            Value::NonUtf8(_) => Err(DecodeError::new(NOT_UTF8)),
            Value::Bytes(bytes) => Self::from_utf8(bytes.to_vec()).map_err(|_| DecodeError::new(NOT_UTF8)),
            Value::Capsule(capsule) => match plain_text(value) {
                Some(text) => Ok(text.to_owned()),
                None if is_secret(capsule) => Err(DecodeError::new("secrets may not be converted into strings")),
                None => Err(DecodeError::expected("string", value)),
            },
            other => Number::of(other).map(Number::to_text).ok_or_else(|| DecodeError::expected("string", other)),
        }
    }

    fn encode_value(&self) -> Value {
        Value::string(self)
    }

    fn type_name() -> String {
        "string".to_owned()
    }
}

impl DecodeValue for Arc<str> {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        match value {
            Value::String(text) => Ok(Self::clone(text)),
            other => String::decode_value(other).map(Self::from),
        }
    }

    fn encode_value(&self) -> Value {
        Value::String(Self::clone(self))
    }

    fn type_name() -> String {
        String::type_name()
    }
}

/// Numbers that do not fit wrap around, as in the reference; the fraction of a float is cut off.
macro_rules! decode_integer {
    ($name:literal, $convert:ident, $wide:ty: $($integer:ty),+) => {$(
        impl DecodeValue for $integer {
            #[allow(
                clippy::cast_possible_truncation,
                clippy::cast_lossless,
                reason = "integers wrap around in the language"
            )]
            fn decode_value(value: &Value) -> Result<Self, DecodeError> {
                Ok(number(value)?.$convert() as Self)
            }

            #[allow(clippy::cast_lossless, reason = "the same code serves types that have no `From` for it")]
            fn encode_value(&self) -> Value {
                Value::from(*self as $wide)
            }

            fn type_name() -> String {
                $name.to_owned()
            }
        }
    )+};
}

decode_integer!("int", to_int, i64: i8, i16, i32, i64, isize);
decode_integer!("uint", to_uint, u64: u8, u16, u32, u64, usize);

impl DecodeValue for f64 {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        Ok(number(value)?.to_float())
    }

    fn encode_value(&self) -> Value {
        Value::Float(*self)
    }

    fn type_name() -> String {
        "float".to_owned()
    }
}

impl DecodeValue for f32 {
    #[allow(clippy::cast_possible_truncation, reason = "the nearest number of less precision is wanted")]
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        Ok(number(value)?.to_float() as Self)
    }

    fn encode_value(&self) -> Value {
        Value::Float(f64::from(*self))
    }

    fn type_name() -> String {
        "float".to_owned()
    }
}

fn number(value: &Value) -> Result<Number, DecodeError> {
    match value {
        Value::Null => Ok(Number::Int(0)),
        Value::String(text) => parse_number(text).ok_or_else(|| DecodeError::expected("number", value)),
        Value::Capsule(_) => {
            plain_text(value).and_then(parse_number).ok_or_else(|| DecodeError::expected("number", value))
        }
        other => Number::of(other).ok_or_else(|| DecodeError::expected("number", other)),
    }
}

/// A number in a string: signed only if whole, no other base than ten.
fn parse_number(text: &str) -> Option<Number> {
    if text.starts_with('-') {
        text.parse().ok().map(Number::Int)
    } else if text.contains(['.', 'e', 'E']) {
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Float)
    } else if text.starts_with('+') {
        None
    } else {
        text.parse().ok().map(Number::Uint)
    }
}

/// The text of an optional secret that is none.
fn plain_text(value: &Value) -> Option<&str> {
    let Value::Capsule(capsule) = value else {
        return None;
    };
    let secret: &OptionalSecret = capsule.downcast_ref()?;
    (!secret.is_secret()).then(|| secret.expose())
}

fn is_secret(capsule: &crate::value::Capsule) -> bool {
    capsule.downcast_ref::<Secret>().is_some() || capsule.downcast_ref::<OptionalSecret>().is_some()
}
