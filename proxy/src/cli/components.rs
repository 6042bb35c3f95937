//! `flamegate components`.

use std::fmt;
use std::process::ExitCode;

use alloy_syntax::schema::Export;
use alloy_syntax::{Schema, did_you_mean};
use clap::Args;

use super::fail;
use super::output::print;
use crate::components::KINDS;
use crate::graph::{Kind, LANGUAGE_BLOCKS, LanguageBlock, Role};

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
    match pages().find(|page| page.name == name) {
        Some(page) => {
            print(&page.to_string());
            ExitCode::SUCCESS
        }
        None => {
            let meant = did_you_mean(name, pages().map(|page| page.name));
            let meant = meant.unwrap_or_else(|| "`flamegate components` lists what there is".to_owned());
            fail(&format!("there is no {name:?}; {meant}\n"))
        }
    }
}

fn list() -> String {
    let width = pages().map(|page| page.name.len()).max().unwrap_or_default();
    pages().map(|page| format!("{:width$}  {}\n", page.name, page.summary)).collect()
}

fn pages() -> impl Iterator<Item = Page> {
    KINDS.iter().map(Page::of_kind).chain(LANGUAGE_BLOCKS.iter().map(Page::of_language))
}

/// What there is to say of a block.
struct Page {
    name: &'static str,
    labelled: bool,
    summary: &'static str,
    schema: fn() -> Schema,
    exports: &'static [Export],
}

impl Page {
    fn of_kind(kind: &'static Kind) -> Self {
        let labelled = kind.role != Role::Settings;
        Self { name: kind.name, labelled, summary: kind.summary, schema: kind.schema, exports: kind.exports }
    }

    fn of_language(block: &'static LanguageBlock) -> Self {
        Self { name: block.name, labelled: true, summary: block.summary, schema: block.schema, exports: &[] }
    }
}

impl fmt::Display for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.labelled { " \"LABEL\"" } else { "" };
        writeln!(f, "{}{label} {{ … }}\n\n{}", self.name, self.summary)?;
        body(f, &(self.schema)(), 0)?;
        if !self.exports.is_empty() {
            writeln!(f, "\nExports")?;
        }
        for export in self.exports {
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
    names("refused by this version", &schema.unsupported)?;
    names("accepted without effect", &schema.ignored)
}

fn paragraph(f: &mut fmt::Formatter<'_>, indent: &str, doc: &str) -> fmt::Result {
    doc.lines().try_for_each(|line| writeln!(f, "{indent}      {line}"))
}
