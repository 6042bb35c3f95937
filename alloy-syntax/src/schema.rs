//! What a block may hold and what a component exports, for documentation and completion.

use crate::decode::DecodeValue;
use crate::value::Value;

/// What may stand in a block.
#[derive(Debug, Clone, Default)]
pub struct Schema {
    /// The block's own documentation.
    pub doc: &'static str,
    /// Whether the block must have a label.
    pub labelled: bool,
    /// Its attributes, in the order of the struct.
    pub attributes: Vec<AttributeSchema>,
    /// Its blocks, in the order of the struct.
    pub blocks: Vec<BlockSchema>,
    /// Attributes and blocks of the reference that are refused, as not supported yet.
    pub unsupported: Vec<&'static str>,
    /// Attributes and blocks of the reference that are accepted and do nothing.
    pub ignored: Vec<&'static str>,
}

/// One attribute.
#[derive(Debug, Clone)]
pub struct AttributeSchema {
    /// Its name.
    pub name: &'static str,
    /// Its type: `string`, `list(string)`, …
    pub type_name: String,
    /// Whether it must be given.
    pub required: bool,
    /// What it is where it is not given, as it would be written; none if it must be given, or is then nothing.
    pub default: Option<String>,
    /// What it is for.
    pub doc: &'static str,
}

impl AttributeSchema {
    /// The text of a default.
    pub fn default_text<T: DecodeValue>(default: &T) -> Option<String> {
        let value = default.encode_value();
        // A capsule cannot be written: an empty secret, mostly.
        (!matches!(value, Value::Null | Value::Capsule(_))).then(|| format!("{value:?}"))
    }
}

/// One block.
#[derive(Debug, Clone)]
pub struct BlockSchema {
    /// Its name, with dots.
    pub name: &'static str,
    /// Whether it must be given.
    pub required: bool,
    /// Whether it may be given more than once.
    pub repeated: bool,
    /// Whether each must have a label.
    pub labelled: bool,
    /// What it is for.
    pub doc: &'static str,
    /// What may stand in it; made on demand, as a block may hold itself.
    pub schema: fn() -> Schema,
}

/// One field of what a component exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Export {
    /// Its name.
    pub name: &'static str,
    /// Its type: `receiver`, `list(map(string))`, …
    pub type_name: &'static str,
    /// What it is for.
    pub doc: &'static str,
}
