//! The blocks of the language itself, for whoever asks what may stand in a configuration.

use alloy_syntax::{Arguments, Schema};

use super::ExportArguments;
use super::foreach::ForeachArguments;
use super::module::ArgumentArguments;

/// A block that is neither a component nor a setting.
pub struct LanguageBlock {
    /// The block's name.
    pub name: &'static str,
    /// What it is for, in one line.
    pub summary: &'static str,
    /// The attributes that may stand in it.
    pub schema: fn() -> Schema,
}

/// All of them.
pub const LANGUAGE_BLOCKS: [LanguageBlock; 4] = [
    LanguageBlock {
        name: "declare",
        summary: "Declares a custom component, by the name that is its label: argument, export and any other blocks.",
        schema: Schema::default,
    },
    LanguageBlock {
        name: "argument",
        summary: "Inside a declare: what the custom component takes; read as argument.LABEL.value.",
        schema: <ArgumentArguments as Arguments>::schema,
    },
    LanguageBlock {
        name: "export",
        summary: "Inside a declare: what the custom component gives, under its label.",
        schema: <ExportArguments as Arguments>::schema,
    },
    LanguageBlock {
        name: "foreach",
        summary: "Builds the components of its block template { } for each item of a collection.",
        schema: <ForeachArguments as Arguments>::schema,
    },
];
