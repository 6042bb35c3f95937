//! `flamegate components`.

use std::fmt;
use std::process::ExitCode;

use alloy_syntax::Schema;
use clap::Args;

use super::fail;
use super::output::print;
use crate::components::KINDS;
use crate::graph::{Kind, Role};

/// Flags of `components`.
#[derive(Debug, Args)]
pub struct ComponentsFlags {
    /// A block's name; without one all are listed
    name: Option<String>,
}

/// Writes the list, or what there is to say of one block.
pub(super) fn run(flags: &ComponentsFlags) -> ExitCode {
    let Some(name) = &flags.name else {
        print(&list());
        return ExitCode::SUCCESS;
    };
    match KINDS.iter().find(|kind| kind.name == name) {
        Some(kind) => {
            print(&Page(kind).to_string());
            ExitCode::SUCCESS
        }
        None => fail(&format!("there is no {name:?}; `flamegate components` lists what there is\n")),
    }
}

fn list() -> String {
    let width = KINDS.iter().map(|kind| kind.name.len()).max().unwrap_or_default();
    let lines = KINDS.iter().map(|kind| format!("{:width$}  {}\n", kind.name, kind.summary));
    let rest = [
        ("declare", "Declares a custom component: a name, and the blocks it is made of."),
        ("argument", "Inside a declare: what the custom component takes (optional, default, comment)."),
        ("export", "Inside a declare: what it gives (value)."),
        ("foreach", "Builds the components of its template for each item of a collection."),
    ];
    lines.chain(rest.map(|(name, summary)| format!("{name:width$}  {summary}\n"))).collect()
}

/// What there is to say of a block.
struct Page(&'static Kind);

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind) = self;
        let label = if kind.role == Role::Settings { "" } else { " \"LABEL\"" };
        writeln!(f, "{}{label} {{ … }}\n\n{}", kind.name, kind.summary)?;
        let schema = (kind.schema)();
        body(f, &schema, 0)?;
        if !kind.exports.is_empty() {
            writeln!(f, "\nExports")?;
        }
        for export in kind.exports {
            writeln!(f, "  {} {}\n      {}", export.name, export.type_name, export.doc)?;
        }
        Ok(())
    }
}

/// What may stand in a block, and in the blocks inside of it.
fn body(f: &mut fmt::Formatter<'_>, schema: &Schema, depth: usize) -> fmt::Result {
    let indent = "    ".repeat(depth);
    if depth == 0 && !schema.attributes.is_empty() {
        writeln!(f, "\nArguments")?;
    }
    for attribute in &schema.attributes {
        let absent = match (&attribute.default, attribute.required) {
            (_, true) => "required".to_owned(),
            (Some(default), false) => format!("default {default}"),
            (None, false) => "optional".to_owned(),
        };
        writeln!(f, "{indent}  {} = {}  ({absent})", attribute.name, attribute.type_name)?;
        paragraph(f, &indent, attribute.doc)?;
    }
    if depth == 0 && !schema.blocks.is_empty() {
        writeln!(f, "\nBlocks")?;
    }
    for block in &schema.blocks {
        let label = if block.labelled { " \"LABEL\"" } else { "" };
        let mut notes: Vec<&str> = Vec::new();
        notes.extend(block.required.then_some("required"));
        notes.extend(block.repeated.then_some("any number"));
        let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join(", ")) };
        writeln!(f, "{indent}  {}{label} {{ }}{notes}", block.name)?;
        paragraph(f, &indent, block.doc)?;
        body(f, &(block.schema)(), depth + 1)?;
    }
    let mut names = |what: &str, names: &[&str]| {
        if names.is_empty() { Ok(()) } else { writeln!(f, "{indent}  {what}: {}", names.join(", ")) }
    };
    names("refused by this version", schema.unsupported)?;
    names("accepted without effect", schema.ignored)
}

fn paragraph(f: &mut fmt::Formatter<'_>, indent: &str, doc: &str) -> fmt::Result {
    doc.lines().try_for_each(|line| writeln!(f, "{indent}      {line}"))
}
