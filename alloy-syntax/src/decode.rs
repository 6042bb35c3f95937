//! Turns values into Rust types, and these into values again.

use std::fmt;
use std::sync::Arc;

use crate::value::{Capsule, CapsuleValue, Value};

mod arguments;
mod block_field;
mod body_decoder;
mod containers;
mod duration;
mod object_decoder;
mod scalars;
mod secrets;

pub use arguments::{
    Arguments, BodyContext, Checked, Decoded, Invalid, check_block, decode_block, decode_block_with_warnings,
    decode_file,
};
pub use block_field::BlockField;
pub use body_decoder::{BodyDecoder, Known};
pub use duration::{GoDuration, ParseDurationError};
pub use object_decoder::ObjectDecoder;

/// A type that an attribute may have. `#[derive(DecodeValue)]` makes one of a struct: an object.
pub trait DecodeValue: Sized {
    /// Makes one of a value. `null` stands for the type's zero wherever it has one.
    ///
    /// # Errors
    ///
    /// What is wrong with the value, or with which part of it.
    fn decode_value(value: &Value) -> Result<Self, DecodeError>;

    /// The value that decodes into the same again. A secret stays one.
    fn encode_value(&self) -> Value;

    /// The type's name in documentation: `string`, `list(string)`, `duration`, …
    fn type_name() -> String;
}

/// A type that is written as a string: a regex, a URL, one of a few words. Every such type decodes.
pub trait TextValue: Sized {
    /// Makes one of the text.
    ///
    /// # Errors
    ///
    /// What is wrong with the text; the message is shown behind it.
    fn parse_text(text: &str) -> Result<Self, String>;

    /// The text that makes the same again.
    fn to_text(&self) -> String;

    /// The type's name in documentation.
    fn type_name() -> String {
        "string".to_owned()
    }
}

impl<T: TextValue> DecodeValue for T {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        if value.is_null() {
            return Err(DecodeError::expected("string", value));
        }
        T::parse_text(&String::decode_value(value)?).map_err(DecodeError::new)
    }

    fn encode_value(&self) -> Value {
        Value::from(self.to_text())
    }

    fn type_name() -> String {
        <T as TextValue>::type_name()
    }
}

/// What is in a capsule, for a type's own [`DecodeValue`]: `expected` is the type's name.
///
/// # Errors
///
/// If the value is no capsule, or one of another type.
pub fn decode_capsule<T: CapsuleValue>(value: &Value, expected: &str) -> Result<Arc<T>, DecodeError> {
    let Value::Capsule(capsule) = value else {
        return Err(DecodeError::expected("capsule", value));
    };
    capsule.downcast_arc().ok_or_else(|| wrong_capsule(expected, capsule))
}

fn wrong_capsule(expected: &str, got: &Capsule) -> DecodeError {
    DecodeError::new(format!("expected capsule(\"{expected}\"), got capsule(\"{}\")", got.type_name()))
}

/// Why a value does not decode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeError {
    path: Vec<Step>,
    message: String,
}

/// A step into a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into an element, counted from 0.
    Element(usize),
    /// Into a field.
    Field(String),
}

impl DecodeError {
    /// Says what is wrong with the whole value; the message is shown behind its text.
    pub fn new(message: impl Into<String>) -> Self {
        Self { path: Vec::new(), message: message.into() }
    }

    /// The value is of the wrong type: `should be number, got string`.
    pub fn expected(expected: &str, got: &Value) -> Self {
        Self::new(format!("should be {expected}, got {}", got.kind()))
    }

    /// The error of an element is that of its array.
    #[must_use]
    pub fn in_element(mut self, index: usize) -> Self {
        self.path.insert(0, Step::Element(index));
        self
    }

    /// The error of a field is that of its object.
    #[must_use]
    pub fn in_field(mut self, name: impl Into<String>) -> Self {
        self.path.insert(0, Step::Field(name.into()));
        self
    }

    /// The steps from the value to the part that is wrong.
    pub fn path(&self) -> &[Step] {
        &self.path
    }

    /// What is wrong with that part.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Element(index) => write!(f, "[{index}]"),
            Self::Field(name) => write!(f, ".{name}"),
        }
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.path {
            write!(f, "{step}")?;
        }
        write!(f, "{}{}", if self.path.is_empty() { "" } else { " " }, self.message)
    }
}

impl std::error::Error for DecodeError {}
