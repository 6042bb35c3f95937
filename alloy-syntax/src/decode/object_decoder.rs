//! What a derived [`DecodeValue`] is made with.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{DecodeError, DecodeValue};
use crate::value::Value;

/// Takes an object apart, field by field.
#[derive(Debug)]
pub struct ObjectDecoder {
    fields: Arc<BTreeMap<String, Value>>,
}

impl ObjectDecoder {
    /// The object; `null` is one without fields.
    ///
    /// # Errors
    ///
    /// If the value is no object, or has a field that is not in `known`.
    pub fn new(value: &Value, known: &[&str]) -> Result<Self, DecodeError> {
        let fields = match value {
            Value::Null => Arc::default(),
            other => other.fields().ok_or_else(|| DecodeError::expected("object", other))?,
        };
        match fields.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(DecodeError::new(format!("does not have field named \"{name}\"")).in_field(name)),
            None => Ok(Self { fields }),
        }
    }

    /// A field that must be there.
    ///
    /// # Errors
    ///
    /// If it is not, or does not decode.
    pub fn required<T: DecodeValue>(&self, name: &str) -> Result<T, DecodeError> {
        self.field(name)?.ok_or_else(|| DecodeError::new(format!("misses the field \"{name}\"")))
    }

    /// A field with a default.
    ///
    /// # Errors
    ///
    /// If it does not decode.
    pub fn field_or<T: DecodeValue>(&self, name: &str, default: impl FnOnce() -> T) -> Result<T, DecodeError> {
        Ok(self.field(name)?.unwrap_or_else(default))
    }

    fn field<T: DecodeValue>(&self, name: &str) -> Result<Option<T>, DecodeError> {
        self.fields.get(name).map(T::decode_value).transpose().map_err(|error| error.in_field(name))
    }
}
