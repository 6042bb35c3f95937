//! What the text alone says: which nodes there are, which refers to which, and in what order to evaluate them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use alloy_syntax::{Diagnostic, Diagnostics, Scope, ast, did_you_mean};

use super::environment::Environment;
use super::{Kind, Role};

mod order;

/// What a text makes: its nodes, each after those that it refers to, and what custom components can be made of.
pub(super) struct Plan {
    pub nodes: Vec<Planned>,
    /// By name.
    pub declares: BTreeMap<String, Arc<ast::Block>>,
    /// Everything that is wrong with the text. The nodes that it does not concern can be evaluated all the same, to
    /// see what is wrong with them.
    pub errors: Diagnostics,
    /// The nodes that it does concern.
    pub failed: BTreeSet<Arc<str>>,
}

/// A block that becomes a node.
pub(super) struct Planned {
    /// For example `pyroscope.write.default`.
    pub id: Arc<str>,
    pub what: What,
    pub block: Arc<ast::Block>,
    /// Ids of the nodes that it refers to.
    pub refers_to: Vec<Arc<str>>,
}

/// What a block is.
#[derive(Clone, Copy)]
pub(super) enum What {
    /// A component, an import or a block of settings.
    Kind(&'static Kind),
    /// A component that the user has declared.
    Custom,
    /// The same components for each item of a list.
    Foreach,
    /// A value that a module gives away.
    Export,
}

/// Where a text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inside {
    /// The configuration itself.
    Root,
    /// The body of a `declare`.
    Declare,
    /// The template of a `foreach`.
    Template,
    /// What an import brings.
    Library,
}

/// What is known around a text.
pub(super) struct Surroundings<'a> {
    pub inside: Inside,
    pub kinds: &'static [Kind],
    /// What names of the text may mean besides its own nodes.
    pub scope: &'a Scope,
    /// The nodes around a template, as a tree.
    pub outer: &'a BTreeMap<String, alloy_syntax::Value>,
    /// The declares and imports around it.
    pub environment: &'a Environment,
}

impl Plan {
    pub(super) fn new<'a>(
        statements: impl IntoIterator<Item = &'a ast::Statement>,
        around: &Surroundings<'_>,
    ) -> Result<Self, Diagnostics> {
        let mut planning = Planning {
            around,
            names: Names::default(),
            nodes: BTreeMap::new(),
            errors: Diagnostics::new(),
            failed: BTreeSet::new(),
        };
        let blocks = planning.blocks(statements);
        planning.names = Names::of(&blocks, around.kinds);
        for block in blocks {
            planning.block(block);
        }
        planning.connect();
        let Planning { names, nodes, errors, failed, .. } = planning;
        match order::sorted(nodes) {
            Ok(nodes) => Ok(Self { nodes, declares: names.declares, errors, failed }),
            Err(cycle) => Err(errors.into_iter().chain(cycle).collect()),
        }
    }
}

/// What the blocks of one text declare.
#[derive(Default)]
struct Names {
    declares: BTreeMap<String, Arc<ast::Block>>,
    /// The node that brings a namespace.
    imports: BTreeMap<String, Arc<str>>,
}

impl Names {
    fn of(blocks: &[&ast::Block], kinds: &[Kind]) -> Self {
        let mut names = Self::default();
        for block in blocks {
            let (name, Some(label)) = (block.full_name(), block.label_text()) else { continue };
            if name == "declare" {
                names.declares.entry(label.to_owned()).or_insert_with(|| Arc::new((*block).clone()));
            } else if kinds.iter().any(|kind| kind.name == name && kind.role.is_import()) {
                names.imports.insert(label.to_owned(), format!("{name}.{label}").into());
            }
        }
        names
    }

    /// The imports of this text that a component needs which is made of such a block, also by what it is made of.
    fn imports_of(&self, block: &ast::Block, found: &mut BTreeSet<Arc<str>>, seen: &mut BTreeSet<String>) {
        let Some(first) = block.name.first().map(|part| part.name.as_str()) else { return };
        if let Some(import) = self.imports.get(first) {
            found.insert(import.clone());
        }
        if let Some(declare) =
            self.declares.get(first).filter(|_| block.name.len() == 1 && seen.insert(first.to_owned()))
        {
            for inner in declare.body.blocks() {
                self.imports_of(inner, found, seen);
            }
        }
        for inner in block.body.blocks() {
            self.imports_of(inner, found, seen);
        }
    }
}

struct Planning<'a, 's> {
    around: &'a Surroundings<'s>,
    names: Names,
    nodes: BTreeMap<Arc<str>, Planned>,
    errors: Diagnostics,
    failed: BTreeSet<Arc<str>>,
}

impl Planning<'_, '_> {
    /// The blocks; attributes have no business here.
    fn blocks<'a>(&mut self, statements: impl IntoIterator<Item = &'a ast::Statement>) -> Vec<&'a ast::Block> {
        let mut blocks = Vec::new();
        for statement in statements {
            match statement {
                ast::Statement::Block(block) => blocks.push(block),
                ast::Statement::Attribute(attribute) => {
                    let message = format!("unrecognized attribute {}", attribute.name.name);
                    self.errors.push(Diagnostic::error(&attribute.file, attribute.name.span, message));
                }
            }
        }
        blocks
    }

    fn block(&mut self, block: &ast::Block) {
        match self.planned(block) {
            Err(error) => {
                self.errors.push(*error);
                let label = block.label_text().unwrap_or_default();
                self.failed.insert(format!("{}.{label}", block.full_name()).into());
            }
            Ok(None) => {}
            Ok(Some(planned)) => match self.nodes.get(&planned.id) {
                None => {
                    self.nodes.insert(planned.id.clone(), planned);
                }
                Some(first) => {
                    let message = already_declared(&planned.id, &first.block);
                    self.errors.push(Diagnostic::error(&block.file, block.header, message));
                }
            },
        }
    }

    fn planned(&self, block: &ast::Block) -> Result<Option<Planned>, Box<Diagnostic>> {
        let name = block.full_name();
        let error = |message: String| Box::new(Diagnostic::error(&block.file, block.header, message));
        let inside = self.around.inside;
        let what = match name.as_str() {
            "declare" => return self.declare(block).map(|()| None),
            "argument" | "export" if inside != Inside::Declare => {
                return Err(error(format!("{name} blocks are only allowed inside a declare block")));
            }
            // Read before anything else is evaluated: see `module`.
            "argument" => return labelled(block, &name).map(|_| None),
            "export" => What::Export,
            "foreach" => What::Foreach,
            _ => self.kind(block, &name)?,
        };
        let imports = matches!(what, What::Kind(kind) if kind.role.is_import());
        if inside == Inside::Library && !imports {
            return Err(error(format!("only declare and import blocks are allowed in a module, got {name}")));
        }
        let settings = matches!(what, What::Kind(kind) if kind.role == Role::Settings);
        if settings && inside != Inside::Root || imports && inside == Inside::Template {
            let place = if inside == Inside::Template { "foreach" } else { "module" };
            return Err(error(format!("{name} not allowed in {place}")));
        }
        let mut path: Vec<String> = block.name.iter().map(|part| part.name.clone()).collect();
        if settings {
            if block.label.is_some() {
                return Err(error(format!("block {name:?} does not support specifying labels")));
            }
        } else {
            path.push(labelled(block, &name)?.to_owned());
        }
        let block = Arc::new(block.clone());
        Ok(Some(Planned { id: path.join(".").into(), what, block, refers_to: Vec::new() }))
    }

    fn declare(&self, block: &ast::Block) -> Result<(), Box<Diagnostic>> {
        let error = |message: String| Box::new(Diagnostic::error(&block.file, block.header, message));
        if self.around.inside == Inside::Template {
            return Err(error("declare not allowed in foreach".to_owned()));
        }
        let label = labelled(block, "declare")?;
        if label == "declare" {
            return Err(error("'declare' is not a valid label for a declare block".to_owned()));
        }
        match self.names.declares.get(label) {
            Some(first) if first.span != block.span || first.file != block.file => {
                Err(error(already_declared(&format!("declare.{label}"), first)))
            }
            _ => Ok(()),
        }
    }

    fn kind(&self, block: &ast::Block, name: &str) -> Result<What, Box<Diagnostic>> {
        let error = |message: String| Diagnostic::error(&block.file, block.header, message);
        if let Some(kind) = self.around.kinds.iter().find(|kind| kind.name == name) {
            return Ok(What::Kind(kind));
        }
        let first = block.name.first().map_or("", |part| part.name.as_str());
        let declared = block.name.len() == 1 && self.names.declares.contains_key(first);
        let imported = block.name.len() == 2 && self.names.imports.contains_key(first);
        if declared || imported || self.around.environment.knows(&block.name) {
            return Ok(What::Custom);
        }
        if alloy_syntax::stdlib::is_stdlib_name(name) {
            return Err(error(format!("component {name:?} is shadowing an existing stdlib name")).into());
        }
        let components = self.around.kinds.iter().filter(|kind| kind.role == Role::Component).map(|kind| kind.name);
        let known: Vec<&str> = components.chain(self.names.declares.keys().map(String::as_str)).collect();
        let help = did_you_mean(name, known.iter().copied())
            .unwrap_or_else(|| format!("this version of Flamegate has {}", known.join(", ")));
        let message = format!("cannot find the definition of component name {name:?}");
        Err(error(message).with_help(help).into())
    }

    /// Finds what each node refers to.
    fn connect(&mut self) {
        let ids: BTreeSet<Arc<str>> = self.nodes.keys().cloned().collect();
        let refused = self.failed.clone();
        for node in self.nodes.values_mut() {
            let mut refers_to = BTreeSet::new();
            if matches!(node.what, What::Custom | What::Foreach) {
                self.names.imports_of(&node.block, &mut refers_to, &mut BTreeSet::new());
            }
            for reference in node.block.references() {
                match resolve(&reference, &ids) {
                    Some(id) if *id == node.id => {
                        let message = format!("cannot reference self: {id}");
                        self.errors.push(Diagnostic::error(&node.block.file, reference.span, message));
                        self.failed.insert(node.id.clone());
                    }
                    Some(id) => {
                        refers_to.insert(id.clone());
                    }
                    // It is there, and was complained of.
                    None if resolve(&reference, &refused).is_some() => {
                        self.failed.insert(node.id.clone());
                    }
                    // The names inside a template are its own: they are judged when it is planned.
                    None if matches!(node.what, What::Foreach) => {}
                    None => {
                        if let Some(mut error) = self.around.refuse(&reference, &node.block.file) {
                            error.help = near(&reference, &ids);
                            self.errors.push(error);
                            self.failed.insert(node.id.clone());
                        }
                    }
                }
            }
            node.refers_to = refers_to.into_iter().collect();
        }
    }
}

impl Surroundings<'_> {
    /// Refuses a reference to nothing that is known here.
    fn refuse(&self, reference: &ast::Traversal, file: &Arc<str>) -> Option<Diagnostic> {
        let root = reference.names().next()?;
        if self.scope.lookup(root).is_some() || self.outer.contains_key(root) {
            return None;
        }
        let names: Vec<&str> = reference.names().collect();
        let message = format!("component {:?} does not exist or is out of scope", names.join("."));
        Some(Diagnostic::error(file, reference.span, message))
    }
}

/// The node that a chain of names refers to: the longest beginning of it that is an id.
fn resolve<'i>(reference: &ast::Traversal, ids: &'i BTreeSet<Arc<str>>) -> Option<&'i Arc<str>> {
    let names: Vec<&str> = reference.names().collect();
    (1..=names.len()).rev().find_map(|length| ids.get(names.get(..length)?.join(".").as_str()))
}

/// The node that was probably meant.
fn near(reference: &ast::Traversal, ids: &BTreeSet<Arc<str>>) -> Option<String> {
    let names: Vec<&str> = reference.names().collect();
    (1..=names.len()).rev().find_map(|length| {
        let known = ids.iter().map(|id| &**id).filter(|id| id.split('.').count() == length);
        did_you_mean(&names.get(..length)?.join("."), known)
    })
}

fn labelled<'b>(block: &'b ast::Block, name: &str) -> Result<&'b str, Box<Diagnostic>> {
    let error =
        || Box::new(Diagnostic::error(&block.file, block.header, format!("component {name:?} must have a label")));
    block.label_text().ok_or_else(error)
}

fn already_declared(id: &str, first: &ast::Block) -> String {
    format!("block {id} already declared at {}:{}", first.file, first.span.start)
}
