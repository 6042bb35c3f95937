//! What decoded structs become again: statements with values in the place of expressions.

use crate::decode::{BlockField, DecodeValue};
use crate::value::Value;

/// A statement whose value is known.
#[derive(Debug, Clone, PartialEq)]
pub enum EncodedStatement {
    /// `name = value`
    Attribute {
        /// The name.
        name: String,
        /// The value.
        value: Value,
    },
    /// `name "label" { … }`
    Block {
        /// The name with its dots.
        name: String,
        /// The label, if there is one.
        label: Option<String>,
        /// What stands between the braces.
        body: Vec<EncodedStatement>,
    },
}

impl EncodedStatement {
    /// The fields of an object, such as a component's exports, as attributes. What is no object has none.
    pub fn attributes_of(object: &Value) -> Vec<Self> {
        let fields = object.fields().unwrap_or_default();
        fields.iter().map(|(name, value)| Self::Attribute { name: name.clone(), value: value.clone() }).collect()
    }

    /// Whether the reference, too, can tell that this equals a default: Go does not compare slices and maps.
    fn is_comparable(&self) -> bool {
        match self {
            Self::Attribute { value, .. } => is_comparable(value),
            Self::Block { body, .. } => body.iter().all(Self::is_comparable),
        }
    }
}

/// What a derived [`Arguments`](crate::Arguments) makes its body with. What is optional is left out where the
/// reference leaves it out: where it equals its default and is neither a list nor a map, or where it is empty
/// as its default is.
#[derive(Debug, Default)]
pub struct BodyEncoder {
    statements: Vec<EncodedStatement>,
}

impl BodyEncoder {
    /// A body without a statement.
    pub fn new() -> Self {
        Self::default()
    }

    /// An attribute that must be there.
    pub fn required<T: DecodeValue>(&mut self, name: &str, field: &T) {
        self.push(name, field.encode_value());
    }

    /// An attribute with a default.
    pub fn attribute_or<T: DecodeValue>(&mut self, name: &str, field: &T, default: impl FnOnce() -> T) {
        let value = field.encode_value();
        let may_be_left_out = is_comparable(&value) || is_empty(&value);
        if !may_be_left_out || value != default().encode_value() {
            self.push(name, value);
        }
    }

    /// A block, or blocks of one name, that must be there.
    pub fn required_block<T: BlockField>(&mut self, name: &str, field: &T) {
        self.statements.extend(field.encode_blocks(name));
    }

    /// A block that need not be there: then it is what an empty one would be.
    pub fn optional_block<T: BlockField>(&mut self, name: &str, field: &T) {
        if !field.is_absent() {
            self.required_block(name, field);
        }
    }

    /// A block with a default.
    pub fn block_or<T: BlockField>(&mut self, name: &str, field: &T, default: impl FnOnce() -> T) {
        let blocks = field.encode_blocks(name);
        let may_be_left_out = !T::REPEATED && blocks.iter().all(EncodedStatement::is_comparable);
        if !may_be_left_out || blocks != default().encode_blocks(name) {
            self.statements.extend(blocks);
        }
    }

    /// The statements of a struct whose fields stand in the same body.
    pub fn flattened(&mut self, statements: Vec<EncodedStatement>) {
        self.statements.extend(statements);
    }

    /// The body.
    pub fn finish(self) -> Vec<EncodedStatement> {
        self.statements
    }

    fn push(&mut self, name: &str, value: Value) {
        self.statements.push(EncodedStatement::Attribute { name: name.to_owned(), value });
    }
}

fn is_comparable(value: &Value) -> bool {
    !matches!(value, Value::Array(_) | Value::Bytes(_) | Value::Object(_))
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(elements) => elements.is_empty(),
        Value::Bytes(bytes) => bytes.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}
