//! Turns blocks into structs, and these into bodies again.

use std::cell::RefCell;
use std::sync::Arc;

use super::{BodyDecoder, Known};
use crate::ast::{Block, Body, File};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::encode::EncodedStatement;
use crate::position::Span;
use crate::schema::Schema;
use crate::scope::Scope;

/// A struct that a block decodes into; derive it.
pub trait Arguments: Sized {
    /// Whether the block must have a label.
    const LABELLED: bool;
    /// The names that may stand in the block.
    const KNOWN: &'static Known;

    /// Makes one of a block's body.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with the body; nothing at all where a value is [unknown](crate::Value::unknown)
    /// and the rest is right.
    fn decode_body(body: &Body, context: &BodyContext<'_>) -> Result<Self, Diagnostics> {
        let mut decoder = BodyDecoder::new(body, context, Self::KNOWN);
        if !Self::LABELLED {
            decoder.no_label();
        }
        Self::decode_fields(&mut decoder).ok_or_else(|| decoder.into_errors())
    }

    /// Takes the fields out of a body that is being taken apart; none where something is wrong so far, or not known.
    fn decode_fields(decoder: &mut BodyDecoder<'_>) -> Option<Self>;

    /// The body again, without what need not be given and is as if it had not been.
    fn encode_body(&self) -> Vec<EncodedStatement>;

    /// The block's label, if the struct has a field for it.
    fn label(&self) -> Option<&str>;

    /// What may stand in the block.
    fn schema() -> Schema;
}

impl<T: Arguments> Arguments for Box<T> {
    const LABELLED: bool = T::LABELLED;
    const KNOWN: &'static Known = T::KNOWN;

    fn decode_fields(decoder: &mut BodyDecoder<'_>) -> Option<Self> {
        T::decode_fields(decoder).map(Self::new)
    }

    fn encode_body(&self) -> Vec<EncodedStatement> {
        T::encode_body(self)
    }

    fn label(&self) -> Option<&str> {
        T::label(self)
    }

    fn schema() -> Schema {
        T::schema()
    }
}

/// What a struct's `validate` function objects to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    /// The attribute (or block) at which it is reported; none: at the block itself.
    pub attribute: Option<&'static str>,
    /// What is wrong and what to do.
    pub message: String,
}

impl Invalid {
    /// An objection to the block as a whole.
    pub fn block(message: impl Into<String>) -> Self {
        Self { attribute: None, message: message.into() }
    }

    /// An objection to an attribute.
    pub fn attribute(attribute: &'static str, message: impl Into<String>) -> Self {
        Self { attribute: Some(attribute), message: message.into() }
    }
}

/// Where a body stands and what it may refer to.
#[derive(Debug)]
pub struct BodyContext<'a> {
    /// The names that its expressions may use.
    pub scope: &'a Scope,
    /// The file it stands in.
    pub file: &'a Arc<str>,
    /// The place for what is missing in it: the block's header.
    pub at: Span,
    /// The block whose body it is; none for a file's body, and for what a block that is not there would hold.
    pub block: Option<&'a Block>,
    /// Whether a label that the struct does not ask for is an error.
    pub strict_label: bool,
    /// What is to be said besides errors.
    pub warnings: &'a RefCell<Diagnostics>,
}

impl<'a> BodyContext<'a> {
    /// The context of a block inside this one.
    pub(super) fn nested(&self, block: &'a Block) -> Self {
        Self { file: &block.file, at: block.header, block: Some(block), strict_label: true, ..*self }
    }

    /// The context of a block that could stand inside this one, but does not.
    pub(super) fn absent(&self) -> Self {
        Self { block: None, ..*self }
    }

    pub(super) fn error(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.file, span, message)
    }
}

/// What was decoded, and what there is to say about it besides.
#[derive(Debug, Clone)]
pub struct Decoded<T> {
    /// The struct.
    pub value: T,
    /// What is accepted and does nothing, for example.
    pub warnings: Diagnostics,
}

/// What was found of a block in which nothing is wrong.
#[derive(Debug, Clone)]
pub enum Checked<T> {
    /// Everything in it is known.
    Known(Decoded<T>),
    /// Something in it is [unknown](crate::Value::unknown).
    Unknown {
        /// What there is to say besides.
        warnings: Diagnostics,
    },
}

/// Decodes a block. Its label is left to the caller, unless `T` has a field for it.
///
/// # Errors
///
/// Everything that is wrong with the block. Warnings are dropped: whoever shows messages to a user calls
/// [`decode_block_with_warnings`].
pub fn decode_block<T: Arguments>(block: &Block, scope: &Scope) -> Result<T, Diagnostics> {
    decode_block_with_warnings(block, scope).map(|decoded| decoded.value)
}

/// As [`decode_block`], and keeps the warnings.
///
/// # Errors
///
/// Everything that is wrong with the block; warnings are among it. If nothing is wrong and a value is
/// [unknown](crate::Value::unknown), no error is among it: [`check_block`] tells the two apart.
pub fn decode_block_with_warnings<T: Arguments>(block: &Block, scope: &Scope) -> Result<Decoded<T>, Diagnostics> {
    let warnings = RefCell::default();
    let context = BodyContext {
        scope,
        file: &block.file,
        at: block.header,
        block: Some(block),
        strict_label: false,
        warnings: &warnings,
    };
    let result = T::decode_body(&block.body, &context);
    finish(result, warnings)
}

/// Decodes a block as far as it can be told with a scope in which values may be
/// [unknown](crate::Value::unknown). What holds such a value is taken to be right, and everything else is
/// decoded as ever; a `validate` function is asked only where nothing is unknown.
///
/// # Errors
///
/// Everything that is wrong with the block; warnings are among it.
pub fn check_block<T: Arguments>(block: &Block, scope: &Scope) -> Result<Checked<T>, Diagnostics> {
    match decode_block_with_warnings(block, scope) {
        Ok(decoded) => Ok(Checked::Known(decoded)),
        Err(errors) if errors.has_errors() => Err(errors),
        Err(warnings) => Ok(Checked::Unknown { warnings }),
    }
}

/// Decodes a whole file as the body of one block.
///
/// # Errors
///
/// Everything that is wrong with it; warnings are among it.
pub fn decode_file<T: Arguments>(file: &File, scope: &Scope) -> Result<Decoded<T>, Diagnostics> {
    let warnings = RefCell::default();
    let context = BodyContext {
        scope,
        file: &file.name,
        at: Span::default(),
        block: None,
        strict_label: false,
        warnings: &warnings,
    };
    let result = T::decode_body(&file.body, &context);
    finish(result, warnings)
}

fn finish<T>(result: Result<T, Diagnostics>, warnings: RefCell<Diagnostics>) -> Result<Decoded<T>, Diagnostics> {
    let mut warnings = warnings.into_inner();
    match result {
        Ok(value) => {
            warnings.sort();
            Ok(Decoded { value, warnings })
        }
        Err(mut errors) => {
            errors.extend(warnings);
            errors.sort();
            Err(errors)
        }
    }
}
