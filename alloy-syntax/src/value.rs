//! What expressions become.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::identifier::is_valid_identifier;
use crate::quote::{quote, quote_bytes};

mod capsule;
mod equality;
mod function;
pub(crate) mod number;
mod secret;
mod unknown;

pub use capsule::{Capsule, CapsuleValue};
pub use function::{CallError, Function};
pub use secret::{OptionalSecret, Secret};

pub(crate) use function::Arguments as CallArguments;

/// A value. A clone shares what is big.
#[derive(Clone, Default)]
pub enum Value {
    /// `null`
    #[default]
    Null,
    /// A whole number.
    Int(i64),
    /// A whole number beyond [`i64::MAX`].
    Uint(u64),
    /// Any other number.
    Float(f64),
    /// A string.
    String(Arc<str>),
    /// A string that is not UTF-8: escapes like `"\xff"` can make one.
    NonUtf8(Arc<[u8]>),
    /// An array of bytes, as the base64 functions make it; becomes a string where one is wanted.
    Bytes(Arc<[u8]>),
    /// `true` or `false`
    Bool(bool),
    /// An array.
    Array(Arc<[Value]>),
    /// An object, its fields sorted by name.
    Object(Arc<BTreeMap<String, Value>>),
    /// Something to call.
    Function(Function),
    /// Something that the language passes on without looking into it.
    Capsule(Capsule),
}

impl Value {
    /// A string.
    pub fn string(text: impl AsRef<str>) -> Self {
        Self::String(Arc::from(text.as_ref()))
    }

    /// A string of bytes that need not be UTF-8.
    pub fn text(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::String(Arc::from(text)),
            Err(error) => Self::NonUtf8(Arc::from(error.into_bytes())),
        }
    }

    /// An array.
    pub fn array(elements: impl IntoIterator<Item = Value>) -> Self {
        Self::Array(elements.into_iter().collect())
    }

    /// An object; of fields with one name the last counts.
    pub fn object<N: Into<String>>(fields: impl IntoIterator<Item = (N, Value)>) -> Self {
        Self::Object(Arc::new(fields.into_iter().map(|(name, value)| (name.into(), value)).collect()))
    }

    /// A capsule.
    pub fn capsule(value: impl CapsuleValue) -> Self {
        Self::Capsule(Capsule::new(value))
    }

    /// The name of the value's type, as error messages have it: `null`, `number`, `string`, `bool`,
    /// `array`, `object`, `function` or `capsule`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Int(_) | Self::Uint(_) | Self::Float(_) => "number",
            Self::String(_) | Self::NonUtf8(_) => "string",
            Self::Bool(_) => "bool",
            Self::Bytes(_) | Self::Array(_) => "array",
            Self::Object(_) => "object",
            Self::Function(_) => "function",
            Self::Capsule(_) => "capsule",
        }
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string, without any conversion.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The value of a bool.
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of an array; those of [`Value::Bytes`] are numbers.
    pub fn elements(&self) -> Option<Arc<[Value]>> {
        match self {
            Self::Array(elements) => Some(Arc::clone(elements)),
            Self::Bytes(bytes) => Some(bytes.iter().map(|&byte| Self::Int(i64::from(byte))).collect()),
            _ => None,
        }
    }

    /// The fields of an object, or of a capsule that can be seen as one.
    pub fn fields(&self) -> Option<Arc<BTreeMap<String, Value>>> {
        match self {
            Self::Object(fields) => Some(Arc::clone(fields)),
            Self::Capsule(capsule) => match capsule.to_object()? {
                Self::Object(fields) => Some(fields),
                _ => None,
            },
            _ => None,
        }
    }

    /// The bytes of a string.
    pub(crate) fn text_bytes(&self) -> Option<&[u8]> {
        match self {
            Self::String(text) => Some(text.as_bytes()),
            Self::NonUtf8(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl fmt::Debug for Value {
    /// As in the language; a function and a capsule show what they are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Uint(value) => write!(f, "{value}"),
            Self::Float(value) => write!(f, "{value:?}"),
            Self::String(text) => f.write_str(&quote(text)),
            Self::NonUtf8(bytes) => f.write_str(&quote_bytes(bytes)),
            Self::Bytes(bytes) => write!(f, "bytes({})", bytes.len()),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Array(elements) => f.debug_list().entries(elements.iter()).finish(),
            Self::Object(fields) => write_fields(f, fields),
            Self::Function(function) => write!(f, "{function:?}"),
            Self::Capsule(capsule) => write!(f, "{capsule:?}"),
        }
    }
}

fn write_fields(f: &mut fmt::Formatter<'_>, fields: &BTreeMap<String, Value>) -> fmt::Result {
    f.write_str("{")?;
    for (index, (name, value)) in fields.iter().enumerate() {
        let comma = if index > 0 { ", " } else { "" };
        let quoted = (!is_valid_identifier(name)).then(|| quote(name));
        write!(f, "{comma}{} = {value:?}", quoted.as_deref().unwrap_or(name))?;
    }
    f.write_str("}")
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<u64> for Value {
    /// An [`Value::Int`] wherever it fits.
    fn from(value: u64) -> Self {
        i64::try_from(value).map_or(Self::Uint(value), Self::Int)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::string(text)
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(Arc::from(text))
    }
}

impl From<Capsule> for Value {
    fn from(capsule: Capsule) -> Self {
        Self::Capsule(capsule)
    }
}

impl From<Function> for Value {
    fn from(function: Function) -> Self {
        Self::Function(function)
    }
}
