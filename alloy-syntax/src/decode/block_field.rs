//! Fields that blocks decode into, and become again: one, at most one, any number, or by label.

use std::collections::BTreeMap;

use super::{Arguments, BodyContext};
use crate::ast::{Block, Body};
use crate::diagnostic::Diagnostics;
use crate::encode::EncodedStatement;
use crate::schema::Schema;

/// A field's type that takes the blocks of one name: `T`, `Option<T>`, `Vec<T>` or `BTreeMap<String, T>`
/// (by label), where `T` is [`Arguments`].
pub trait BlockField: Sized {
    /// Whether it takes more than one block.
    const REPEATED: bool;
    /// Whether each block must have a label.
    const LABELLED: bool;

    /// Makes one of the blocks of the name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them, or that there are too many; nothing at all where a value is
    /// [unknown](crate::Value::unknown) and the rest is right.
    fn decode_blocks(name: &str, blocks: &[&Block], context: &BodyContext<'_>) -> Result<Self, Diagnostics>;

    /// The blocks again.
    fn encode_blocks(&self, name: &str) -> Vec<EncodedStatement>;

    /// Whether it is what no block at all would make of an optional field.
    fn is_absent(&self) -> bool;

    /// What may stand in one of them.
    fn block_schema() -> Schema;
}

impl<T: Arguments> BlockField for T {
    const REPEATED: bool = false;
    const LABELLED: bool = T::LABELLED;

    fn decode_blocks(name: &str, blocks: &[&Block], context: &BodyContext<'_>) -> Result<Self, Diagnostics> {
        match only(name, blocks, context)? {
            Some(block) => T::decode_body(&block.body, &context.nested(block)),
            None => T::decode_body(&Body::default(), &context.absent()),
        }
    }

    fn encode_blocks(&self, name: &str) -> Vec<EncodedStatement> {
        vec![encoded(name, self.label(), self)]
    }

    fn is_absent(&self) -> bool {
        self.encode_body().is_empty()
    }

    fn block_schema() -> Schema {
        T::schema()
    }
}

impl<T: Arguments> BlockField for Option<T> {
    const REPEATED: bool = false;
    const LABELLED: bool = T::LABELLED;

    fn decode_blocks(name: &str, blocks: &[&Block], context: &BodyContext<'_>) -> Result<Self, Diagnostics> {
        only(name, blocks, context)?.map(|block| T::decode_body(&block.body, &context.nested(block))).transpose()
    }

    fn encode_blocks(&self, name: &str) -> Vec<EncodedStatement> {
        self.iter().map(|block| encoded(name, block.label(), block)).collect()
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }

    fn block_schema() -> Schema {
        T::schema()
    }
}

impl<T: Arguments> BlockField for Vec<T> {
    const REPEATED: bool = true;
    const LABELLED: bool = T::LABELLED;

    fn decode_blocks(_name: &str, blocks: &[&Block], context: &BodyContext<'_>) -> Result<Self, Diagnostics> {
        let mut decoded = Self::with_capacity(blocks.len());
        let mut errors = Diagnostics::new();
        for block in blocks {
            match T::decode_body(&block.body, &context.nested(block)) {
                Ok(value) => decoded.push(value),
                Err(more) => errors.extend(more),
            }
        }
        // A block with an unknown value has no errors, and is not here either.
        if decoded.len() == blocks.len() { Ok(decoded) } else { Err(errors) }
    }

    fn encode_blocks(&self, name: &str) -> Vec<EncodedStatement> {
        self.iter().map(|block| encoded(name, block.label(), block)).collect()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn block_schema() -> Schema {
        T::schema()
    }
}

impl<T: Arguments> BlockField for BTreeMap<String, T> {
    const REPEATED: bool = true;
    const LABELLED: bool = true;

    fn decode_blocks(name: &str, blocks: &[&Block], context: &BodyContext<'_>) -> Result<Self, Diagnostics> {
        let mut decoded = Self::new();
        let mut errors = Diagnostics::new();
        for block in blocks {
            let Some(label) = block.label_text() else {
                let message = format!("block \"{name}\" requires non-empty label");
                errors.push(context.nested(block).error(block.header, message));
                continue;
            };
            let mut nested = context.nested(block);
            nested.strict_label = false;
            match T::decode_body(&block.body, &nested) {
                Ok(value) if decoded.contains_key(label) => {
                    drop(value);
                    let message = format!("block \"{name}\" with label \"{label}\" may only be specified once");
                    errors.push(nested.error(block.header, message));
                }
                Ok(value) => {
                    decoded.insert(label.to_owned(), value);
                }
                Err(more) => errors.extend(more),
            }
        }
        if decoded.len() == blocks.len() { Ok(decoded) } else { Err(errors) }
    }

    fn encode_blocks(&self, name: &str) -> Vec<EncodedStatement> {
        self.iter().map(|(label, block)| encoded(name, Some(label), block)).collect()
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }

    fn block_schema() -> Schema {
        T::schema()
    }
}

fn encoded<T: Arguments>(name: &str, label: Option<&str>, block: &T) -> EncodedStatement {
    EncodedStatement::Block { name: name.to_owned(), label: label.map(str::to_owned), body: block.encode_body() }
}

fn only<'a>(name: &str, blocks: &[&'a Block], context: &BodyContext<'_>) -> Result<Option<&'a Block>, Diagnostics> {
    let errors: Diagnostics = blocks
        .iter()
        .skip(1)
        .map(|extra| context.error(extra.header, format!("block \"{name}\" may only be specified once")))
        .collect();
    if errors.is_empty() { Ok(blocks.first().copied()) } else { Err(errors) }
}
