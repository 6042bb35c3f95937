//! Types made of others.

use std::collections::BTreeMap;

use super::{DecodeError, DecodeValue};
use crate::value::Value;

impl<T: DecodeValue> DecodeValue for Option<T> {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        if value.is_null() { Ok(None) } else { T::decode_value(value).map(Some) }
    }

    fn encode_value(&self) -> Value {
        self.as_ref().map_or(Value::Null, T::encode_value)
    }

    fn type_name() -> String {
        T::type_name()
    }
}

impl<T: DecodeValue> DecodeValue for Vec<T> {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        if value.is_null() {
            return Ok(Self::new());
        }
        let elements = value.elements().ok_or_else(|| DecodeError::expected("array", value))?;
        elements
            .iter()
            .enumerate()
            .map(|(index, element)| T::decode_value(element).map_err(|error| error.in_element(index)))
            .collect()
    }

    fn encode_value(&self) -> Value {
        Value::array(self.iter().map(T::encode_value))
    }

    fn type_name() -> String {
        format!("list({})", T::type_name())
    }
}

impl<T: DecodeValue> DecodeValue for BTreeMap<String, T> {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        if value.is_null() {
            return Ok(Self::new());
        }
        let fields = value.fields().ok_or_else(|| DecodeError::expected("object", value))?;
        fields
            .iter()
            .map(|(name, field)| match T::decode_value(field) {
                Ok(field) => Ok((name.clone(), field)),
                Err(error) => Err(error.in_field(name)),
            })
            .collect()
    }

    fn encode_value(&self) -> Value {
        Value::object(self.iter().map(|(name, field)| (name, field.encode_value())))
    }

    fn type_name() -> String {
        format!("map({})", T::type_name())
    }
}
