//! What a derived [`Arguments`](super::Arguments) is made with.

use std::collections::BTreeMap;

use super::{BlockField, BodyContext, DecodeValue, Invalid};
use crate::ast::{Attribute, Block, Body, Statement};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::evaluate::Fault;
use crate::position::Span;
use crate::suggest::did_you_mean;

/// Which names a body may use.
#[derive(Debug, Clone, Copy)]
pub struct Known {
    /// Of attributes.
    pub attributes: &'static [&'static str],
    /// Of blocks.
    pub blocks: &'static [&'static str],
    /// Refused, as not supported yet.
    pub unsupported: &'static [&'static str],
    /// Accepted with a warning.
    pub ignored: &'static [&'static str],
    /// Those of the structs whose fields stand in the same body.
    pub flattened: &'static [&'static Self],
}

impl Known {
    /// The names of one sort, with those of flattened structs.
    pub fn all(&self, names: fn(&Self) -> &'static [&'static str]) -> Vec<&'static str> {
        names(self).iter().copied().chain(self.flattened.iter().flat_map(|inner| inner.all(names))).collect()
    }

    fn has(&self, names: fn(&Self) -> &'static [&'static str], name: &str) -> bool {
        names(self).contains(&name) || self.flattened.iter().any(|inner| inner.has(names, name))
    }
}

/// Takes a body apart: sorts its statements by name, then hands out one field after the other, and collects
/// everything that is wrong. A field that is `None` has an error recorded, or is not known.
#[derive(Debug)]
pub struct BodyDecoder<'a> {
    context: &'a BodyContext<'a>,
    attributes: BTreeMap<&'a str, &'a Attribute>,
    blocks: BTreeMap<String, Vec<&'a Block>>,
    errors: Diagnostics,
    /// Whether a field could not be made of a value that is not known.
    unknown: bool,
}

impl<'a> BodyDecoder<'a> {
    /// Sorts the statements, and refuses those that do not belong there.
    pub fn new(body: &'a Body, context: &'a BodyContext<'a>, known: &Known) -> Self {
        let (attributes, blocks, errors) = (BTreeMap::new(), BTreeMap::new(), Diagnostics::new());
        let mut decoder = Self { context, attributes, blocks, errors, unknown: false };
        for statement in &body.statements {
            match statement {
                Statement::Attribute(attribute) => decoder.sort_attribute(attribute, known),
                Statement::Block(block) => decoder.sort_block(block, known),
            }
        }
        decoder
    }

    /// An attribute that must be there.
    pub fn required<T: DecodeValue>(&mut self, name: &'static str) -> Option<T> {
        if let Some(attribute) = self.attributes.get(name).copied() {
            return self.decode_attribute(attribute);
        }
        self.error(self.context.at, format!("missing required attribute \"{name}\""));
        None
    }

    /// An attribute with a default.
    pub fn attribute_or<T: DecodeValue>(&mut self, name: &'static str, default: impl FnOnce() -> T) -> Option<T> {
        match self.attributes.get(name).copied() {
            Some(attribute) => self.decode_attribute(attribute),
            None => Some(default()),
        }
    }

    /// A block, or blocks of one name, that must be there.
    pub fn required_block<T: BlockField>(&mut self, name: &'static str) -> Option<T> {
        if self.blocks.contains_key(name) {
            return self.decode_blocks(name);
        }
        self.error(self.context.at, format!("missing required block \"{name}\""));
        None
    }

    /// A block that need not be there: then it is what an empty one would be.
    pub fn optional_block<T: BlockField>(&mut self, name: &'static str) -> Option<T> {
        self.decode_blocks(name)
    }

    /// A block with a default.
    pub fn block_or<T: BlockField>(&mut self, name: &'static str, default: impl FnOnce() -> T) -> Option<T> {
        if self.blocks.contains_key(name) { self.decode_blocks(name) } else { Some(default()) }
    }

    /// The block's label, which must be there.
    pub fn label(&mut self) -> Option<String> {
        let Some(block) = self.context.block else {
            self.error(self.context.at, "a label is required".to_owned());
            return None;
        };
        let label = block.label_text().map(str::to_owned);
        if label.is_none() {
            let message = format!("block \"{}\" requires non-empty label", block.full_name());
            self.error(block.header, message);
        }
        label
    }

    /// Refuses a label.
    pub fn no_label(&mut self) {
        if let Some(block) = self.context.block
            && self.context.strict_label
            && block.label.is_some()
        {
            let message = format!("block \"{}\" does not support specifying labels", block.full_name());
            self.error(block.header, message);
        }
    }

    /// Whether something was wrong so far, or not known.
    pub fn failed(&self) -> bool {
        self.unknown || !self.errors.is_empty()
    }

    /// Everything that was wrong.
    pub fn into_errors(self) -> Diagnostics {
        self.errors
    }

    /// What a `validate` function objects to, at its place.
    pub fn invalid(&mut self, invalid: Invalid) {
        let place = invalid.attribute.and_then(|name| {
            let attribute = self.attributes.get(name).map(|attribute| attribute.value.span);
            attribute.or_else(|| self.blocks.get(name)?.first().map(|block| block.header))
        });
        self.error(place.unwrap_or(self.context.at), invalid.message);
    }

    fn sort_attribute(&mut self, attribute: &'a Attribute, known: &Known) {
        let name = attribute.name.name.as_str();
        if known.has(|known| known.attributes, name) {
            if self.attributes.insert(name, attribute).is_some() {
                self.error(attribute.span, format!("attribute \"{name}\" may only be provided once"));
            }
        } else if known.has(|known| known.blocks, name) {
            self.error(attribute.span, format!("\"{name}\" must be a block, but is used as an attribute"));
        } else {
            self.unknown(name, attribute.span, "attribute", known);
        }
    }

    fn sort_block(&mut self, block: &'a Block, known: &Known) {
        let name = block.full_name();
        if known.has(|known| known.blocks, &name) {
            self.blocks.entry(name).or_default().push(block);
        } else if known.has(|known| known.attributes, &name) {
            self.error(block.span, format!("\"{name}\" must be an attribute, but is used as a block"));
        } else {
            self.unknown(&name, block.header, "block", known);
        }
    }

    fn unknown(&mut self, name: &str, span: Span, what: &str, known: &Known) {
        if known.has(|known| known.unsupported, name) {
            self.error(span, format!("{what} \"{name}\" is not supported by this version of Flamegate"));
        } else if known.has(|known| known.ignored, name) {
            let message = format!("{what} \"{name}\" has no effect and may be removed");
            self.context.warnings.borrow_mut().push(Diagnostic::warning(self.context.file, span, message));
        } else {
            let names =
                if what == "block" { known.all(|known| known.blocks) } else { known.all(|known| known.attributes) };
            let mut error = self.context.error(span, format!("unrecognized {what} name \"{name}\""));
            error.help = did_you_mean(name, names);
            self.errors.push(error);
        }
    }

    fn decode_attribute<T: DecodeValue>(&mut self, attribute: &'a Attribute) -> Option<T> {
        match attribute.value.decode_traced(self.context.scope) {
            Ok(value) => return Some(value),
            Err(Fault::Unknown) => self.unknown = true,
            Err(fault) => self.errors.push(fault.into_diagnostic_at(&attribute.value)),
        }
        None
    }

    fn decode_blocks<T: BlockField>(&mut self, name: &'static str) -> Option<T> {
        let blocks = self.blocks.get(name).map(Vec::as_slice).unwrap_or_default();
        match T::decode_blocks(name, blocks, self.context) {
            Ok(decoded) => return Some(decoded),
            Err(errors) if errors.is_empty() => self.unknown = true,
            Err(errors) => self.errors.extend(errors),
        }
        None
    }

    fn error(&mut self, span: Span, message: String) {
        self.errors.push(self.context.error(span, message));
    }
}
