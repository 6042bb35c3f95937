//! What the text alone says: which components there are, which refers to which, and in what order to build them.

use std::collections::BTreeMap;

use alloy_syntax::{Diagnostic, Diagnostics, Scope, ast};

use super::Kind;

/// The components of a configuration, each after those that it refers to.
pub(super) struct Plan<'a> {
    nodes: Vec<PlannedNode<'a>>,
}

/// A component that is described.
pub(super) struct PlannedNode<'a> {
    /// For example `pyroscope.write.default`.
    pub id: String,
    /// The id's parts.
    pub path: Vec<String>,
    pub kind: &'a Kind,
    pub block: &'a ast::Block,
    /// Ids of the components that it refers to.
    pub refers_to: Vec<String>,
}

impl<'a> Plan<'a> {
    pub(super) fn new(files: &'a [ast::File], kinds: &'a [Kind], stdlib: &Scope) -> Result<Self, Diagnostics> {
        let mut errors = Diagnostics::new();
        let mut nodes: BTreeMap<String, PlannedNode<'a>> = BTreeMap::new();
        for statement in
            files.iter().flat_map(|file| file.body.statements.iter().map(move |statement| (file, statement)))
        {
            let planned = match statement {
                (file, ast::Statement::Attribute(attribute)) => {
                    let message = format!("unrecognized attribute {}", attribute.name.name);
                    Err(Diagnostic::error(&file.name, attribute.name.span, message).into())
                }
                (_, ast::Statement::Block(block)) => component(block, kinds, stdlib),
            };
            match planned {
                Err(more) => errors.extend(more),
                Ok(node) => match nodes.get(&node.id) {
                    None => {
                        nodes.insert(node.id.clone(), node);
                    }
                    Some(first) => {
                        let at = format!("{}:{}", first.block.file, first.block.span.start);
                        let message = format!("block {} already declared at {at}", node.id);
                        errors.push(Diagnostic::error(&node.block.file, node.block.header, message));
                    }
                },
            }
        }
        let ids: Vec<String> = nodes.keys().cloned().collect();
        for node in nodes.values_mut() {
            for reference in node.block.references() {
                match resolve(&reference, &ids, stdlib) {
                    Ok(Some(id)) if *id == node.id => {
                        let message = format!("cannot reference self: {id}");
                        errors.push(Diagnostic::error(&node.block.file, reference.span, message));
                    }
                    Ok(Some(id)) if !node.refers_to.contains(id) => node.refers_to.push(id.clone()),
                    Ok(_) => {}
                    Err(message) => errors.push(Diagnostic::error(&node.block.file, reference.span, message)),
                }
            }
        }
        if errors.is_empty() { order(nodes) } else { Err(errors) }
    }

    pub(super) fn nodes(&self) -> &[PlannedNode<'a>] {
        &self.nodes
    }
}

fn component<'a>(block: &'a ast::Block, kinds: &'a [Kind], stdlib: &Scope) -> Result<PlannedNode<'a>, Diagnostics> {
    let name = block.full_name();
    let error = |message: String| Diagnostics::from(Diagnostic::error(&block.file, block.header, message));
    let Some(kind) = kinds.iter().find(|kind| kind.name == name) else {
        if stdlib.lookup(&name).is_some() {
            return Err(error(format!("component {name:?} is shadowing an existing stdlib name")));
        }
        let known: Vec<&str> = kinds.iter().map(|kind| kind.name).collect();
        let help = format!("this version of Flamegate has {}", known.join(", "));
        let message = format!("cannot find the definition of component name {name:?}");
        return Err(Diagnostic::error(&block.file, block.header, message).with_help(help).into());
    };
    let Some(label) = block.label_text() else {
        return Err(error(format!("component {name:?} must have a label")));
    };
    let path: Vec<String> = block.name.iter().map(|part| part.name.clone()).chain([label.to_owned()]).collect();
    Ok(PlannedNode { id: path.join("."), path, kind, block, refers_to: Vec::new() })
}

/// The component that a chain of names refers to: the longest beginning of it that is an id. `None` for a name of the
/// standard library.
fn resolve<'i>(reference: &ast::Traversal, ids: &'i [String], stdlib: &Scope) -> Result<Option<&'i String>, String> {
    let names: Vec<&str> = reference.names().collect();
    for length in (1..=names.len()).rev() {
        let beginning = names.get(..length).unwrap_or_default().join(".");
        if let Some(id) = ids.iter().find(|id| **id == beginning) {
            return Ok(Some(id));
        }
    }
    if names.first().is_some_and(|root| stdlib.lookup(root).is_some()) {
        return Ok(None);
    }
    Err(format!("component {:?} does not exist or is out of scope", names.join(".")))
}

/// Kahn's algorithm; what is left over is in a cycle or behind one.
fn order(mut nodes: BTreeMap<String, PlannedNode<'_>>) -> Result<Plan<'_>, Diagnostics> {
    let mut ordered: Vec<PlannedNode<'_>> = Vec::with_capacity(nodes.len());
    while let Some(id) = next(&nodes) {
        ordered.extend(nodes.remove(&id));
    }
    if let Some(first) = cycle(&nodes) {
        let message = format!("cycle detected: {}", first.ids.join(" -> "));
        return Err(Diagnostic::error(&first.at.file, first.at.header, message).into());
    }
    Ok(Plan { nodes: ordered })
}

fn next(nodes: &BTreeMap<String, PlannedNode<'_>>) -> Option<String> {
    nodes.values().find(|node| node.refers_to.iter().all(|id| !nodes.contains_key(id))).map(|node| node.id.clone())
}

struct Cycle<'a> {
    ids: Vec<&'a str>,
    at: &'a ast::Block,
}

fn cycle<'n>(nodes: &'n BTreeMap<String, PlannedNode<'_>>) -> Option<Cycle<'n>> {
    let mut ids: Vec<&str> = Vec::new();
    let mut at = nodes.values().next()?;
    loop {
        if let Some(start) = ids.iter().position(|id| *id == at.id) {
            let mut around = ids.split_off(start);
            around.push(&at.id);
            return Some(Cycle { ids: around, at: at.block });
        }
        ids.push(&at.id);
        at = at.refers_to.iter().find_map(|id| nodes.get(id))?;
    }
}
