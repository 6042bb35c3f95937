//! `foreach`: the components of a template, once for each item of a list.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use alloy_syntax::{
    Arguments, Checked, Diagnostic, Diagnostics, Invalid, Scope, Value, ast, check_block, is_valid_identifier,
};
use sha2::{Digest, Sha256};

use super::{Builder, Level, Making};
use crate::graph::node::{Graph, Part, inner_path};
use crate::graph::plan::Inside;

/// What may stand in a `foreach` block besides its template.
#[derive(Arguments)]
#[alloy(validate = ForeachArguments::validate)]
pub(super) struct ForeachArguments {
    /// The items.
    #[alloy(attr)]
    collection: Vec<Value>,
    /// The name that an item has in the template.
    #[alloy(attr)]
    var: String,
    /// Of an item that is an object, the field that names its components; without it the whole item does.
    #[alloy(attr, optional)]
    id: String,
    /// Whether a name is hashed, so that a long one stays short.
    #[alloy(attr, optional)]
    hash_string_id: bool,
    /// Whether the components' metrics are shown.
    #[alloy(attr, optional)]
    enable_metrics: bool,
}

impl ForeachArguments {
    /// One item of which nothing is known.
    fn unknown(block: &ast::Block, scope: &Scope) -> Self {
        let var = block.body.attributes().find(|attribute| attribute.name.name == "var");
        let var = var.and_then(|attribute| attribute.value.decode(scope).ok()).unwrap_or_default();
        Self {
            collection: vec![Value::unknown()],
            var,
            id: String::new(),
            hash_string_id: false,
            enable_metrics: false,
        }
    }

    fn validate(&self) -> Result<(), Invalid> {
        if is_valid_identifier(&self.var) {
            return Ok(());
        }
        Err(Invalid::attribute("var", format!("{:?} is no name: letters, digits and _, no digit first", self.var)))
    }
}

impl Builder<'_> {
    /// Evaluates the template for each item.
    pub(super) fn foreach(&mut self, making: &Making<'_>) -> Result<Part, Diagnostics> {
        let (template, rest) = split(&making.planned.block)?;
        let arguments = match check_block::<ForeachArguments>(&rest, &making.scope)? {
            Checked::Known(decoded) => decoded.value,
            Checked::Unknown { .. } => ForeachArguments::unknown(&rest, &making.scope),
        };
        let hidden = (!arguments.enable_metrics).then(|| making.level.services.with_hidden_metrics());
        let previous: BTreeMap<&str, &Graph> = match making.previous.map(|node| &node.part) {
            Some(Part::Foreach { inner, .. }) => inner.iter().map(|(id, graph)| (&**id, graph)).collect(),
            _ => BTreeMap::new(),
        };
        let path = inner_path(&making.labels);
        let mut inner = Vec::with_capacity(arguments.collection.len());
        let mut errors = Diagnostics::new();
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for item in &arguments.collection {
            let name = fingerprint(&named_by(item, &arguments.id), arguments.hash_string_id);
            let count = counts.entry(name.clone()).and_modify(|count| *count += 1).or_insert(1);
            let id: Arc<str> = format!("foreach_{name}_{count}").into();
            let level = Level {
                statements: template.body.statements.iter().collect(),
                inside: Inside::Template,
                path: format!("{path}/{id}").into(),
                scope: making.level.scope.with(&arguments.var, item.clone()),
                outer: making.around.clone(),
                environment: making.environment.clone(),
                services: hidden.as_ref().unwrap_or(making.level.services),
                previous: previous.get(&*id).copied(),
                // Items with the same id may differ in their other fields.
                all: true,
            };
            match self.level(&level) {
                Ok(built) => inner.push((id, built.graph)),
                Err(more) => errors.extend(more),
            }
        }
        if errors.has_errors() { Err(errors) } else { Ok(Part::Foreach { arguments: Arc::new(arguments), inner }) }
    }
}

/// The template, and the block without it.
fn split(block: &ast::Block) -> Result<(&ast::Block, ast::Block), Diagnostics> {
    let error = |at: &ast::Block, message: &str| Diagnostics::from(Diagnostic::error(&block.file, at.header, message));
    let mut templates = block.body.blocks().filter(|block| block.full_name() == "template");
    let template = templates.next().ok_or_else(|| error(block, "missing required block \"template\""))?;
    if let Some(second) = templates.next() {
        return Err(error(second, "block \"template\" may only be specified once"));
    }
    let mut rest = block.clone();
    rest.body.statements.retain(|statement| match statement {
        ast::Statement::Block(block) => block.full_name() != "template",
        ast::Statement::Attribute(_) => true,
    });
    Ok((template, rest))
}

/// What an item is called by.
fn named_by(item: &Value, field: &str) -> Value {
    if field.is_empty() {
        return item.clone();
    }
    let named = item.fields().and_then(|fields| fields.get(field).cloned());
    named.unwrap_or_else(|| {
        tracing::warn!(id = field, "specified id not found in collection item");
        item.clone()
    })
}

/// A name of letters, digits and `_`: the reference's, but for items that are hashed as a whole.
fn fingerprint(value: &Value, hash: bool) -> String {
    match value {
        Value::String(text) if hash => digest(text),
        Value::String(text) => text.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect(),
        Value::Int(number) => number.to_string(),
        Value::Uint(number) => number.to_string(),
        Value::Bool(value) => value.to_string(),
        Value::Float(number) => format!("{number:.6}").replace('.', "_"),
        other => digest(&format!("{other:?}")),
    }
}

fn digest(text: &str) -> String {
    Sha256::digest(text).iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _written = write!(text, "{byte:02x}");
        text
    })
}
