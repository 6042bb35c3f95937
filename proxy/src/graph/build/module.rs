//! Custom components: a `declare` and the arguments of one use of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_syntax::{Arguments, Diagnostic, Diagnostics, Value, ast, decode_block};

use super::{Builder, Built, Level, Making};
use crate::component::Services;
use crate::graph::environment::{Definition, Environment, Unfound};
use crate::graph::node::{Graph, Part, inner_path};
use crate::graph::plan::Inside;

/// An `argument` block of a declare.
#[derive(Arguments)]
pub(super) struct ArgumentArguments {
    /// Whether it may be left out.
    #[alloy(attr, optional)]
    optional: bool,
    /// What it is then.
    #[alloy(attr, optional)]
    default: Value,
    /// What it is for.
    #[alloy(attr, optional)]
    #[allow(dead_code, reason = "for the reader of the configuration")]
    comment: String,
}

/// Where the body of a declare is made use of.
struct Surrounded<'a> {
    path: Arc<str>,
    services: &'a Services,
    previous: Option<&'a Graph>,
    all: bool,
}

impl Builder<'_> {
    /// Evaluates a custom component: what is inside of it, and what that exports.
    pub(super) fn module(&mut self, making: &Making<'_>) -> Result<(Part, Value), Diagnostics> {
        let block = &making.planned.block;
        let error = |message: String| Diagnostics::from(Diagnostic::error(&block.file, block.header, message));
        let definition = match making.environment.find(&block.name) {
            Ok(definition) => definition,
            Err(Unfound::Undeclared) => {
                let name = block.full_name();
                return Err(error(format!("cannot find the definition of component name {name:?}")));
            }
            // What is inside cannot be told; what is given must make sense all the same.
            Err(Unfound::Unread) => {
                for attribute in block.body.attributes() {
                    attribute.value.evaluate(&making.scope)?;
                }
                return Ok((Part::Checked, Value::unknown()));
            }
        };
        self.used.insert(Arc::as_ptr(&definition.block));
        if self.within.iter().any(|outer| Arc::ptr_eq(outer, &definition.block)) {
            return Err(error(format!("component {:?} is made of itself", block.full_name())));
        }
        let arguments = self.arguments(making, &definition)?;
        let previous = making.previous.and_then(|node| match &node.part {
            Part::Module { arguments, inner } => Some((arguments, inner)),
            _ => None,
        });
        let changed = previous.is_none_or(|(before, _)| **before != *arguments);
        let built = self.body(
            &definition,
            &arguments,
            Surrounded {
                path: inner_path(&making.labels),
                services: making.level.services,
                previous: previous.map(|(_, inner)| inner),
                all: making.all || changed,
            },
        );
        let inner = built?.graph;
        let exports = inner.exports.clone();
        Ok((Part::Module { arguments: arguments.into(), inner }, exports))
    }

    /// Evaluates the body of a declare.
    fn body(
        &mut self,
        definition: &Definition,
        arguments: &[(String, Value)],
        around: Surrounded<'_>,
    ) -> Result<Built, Diagnostics> {
        let values = arguments.iter().map(|(name, value)| {
            let exported = Value::object([("value", value.clone())]);
            (name.clone(), exported)
        });
        let module_path = Value::from(&*definition.environment.module_path);
        let Surrounded { path, services, previous, all } = around;
        let level = Level {
            statements: definition.block.body.statements.iter().collect(),
            inside: Inside::Declare,
            path,
            scope: self.stdlib.extend([("module_path", module_path), ("argument", Value::object(values))]),
            outer: BTreeMap::new(),
            environment: definition.environment.clone(),
            services,
            previous,
            all,
        };
        self.within.push(definition.block.clone());
        let built = self.level(&level);
        self.within.pop();
        built
    }

    /// Looks at the declares that nothing is made of, as if something was.
    pub(super) fn unused(&mut self, environment: &Arc<Environment>, level: &Level<'_>) -> Diagnostics {
        let mut errors = Diagnostics::new();
        for (name, block) in &environment.declares {
            if !self.used.insert(Arc::as_ptr(block)) {
                continue;
            }
            let declared = block.body.blocks().filter(|block| block.full_name() == "argument");
            let arguments: Vec<(String, Value)> =
                declared.filter_map(|block| Some((block.label_text()?.to_owned(), Value::unknown()))).collect();
            let definition = Definition { block: block.clone(), environment: environment.clone() };
            let path = format!("{}/declare.{name}", level.path.trim_end_matches('/')).into();
            let around = Surrounded { path, services: level.services, previous: None, all: true };
            errors.extend(self.body(&definition, &arguments, around).err().into_iter().flatten());
        }
        errors
    }

    /// The value of each argument that is declared, in order of the declarations.
    fn arguments(&self, making: &Making<'_>, definition: &Definition) -> Result<Vec<(String, Value)>, Diagnostics> {
        let block = &making.planned.block;
        let mut errors = Diagnostics::new();
        let mut arguments: Vec<(String, Value)> = Vec::new();
        let declared = definition.block.body.blocks().filter(|block| block.full_name() == "argument");
        for (declaration, name) in declared.filter_map(|block| Some((block, block.label_text()?))) {
            if arguments.iter().any(|(other, _)| other == name) {
                let message = format!("argument {name:?} already declared");
                errors.push(Diagnostic::error(&declaration.file, declaration.header, message));
                continue;
            }
            let given = block.body.attributes().find(|attribute| attribute.name.name == name);
            let value = match (given, decode_block::<ArgumentArguments>(declaration, &self.stdlib)) {
                (_, Err(more)) => Err(more),
                (Some(attribute), Ok(_)) => attribute.value.evaluate(&making.scope).map_err(Diagnostics::from),
                (None, Ok(declaration)) if declaration.optional => Ok(declaration.default),
                (None, Ok(_)) => {
                    let message = format!("missing required argument {name:?} to module");
                    Err(Diagnostic::error(&block.file, block.header, message).into())
                }
            };
            arguments.push((
                name.to_owned(),
                value.unwrap_or_else(|more| {
                    errors.extend(more);
                    Value::Null
                }),
            ));
        }
        errors.extend(refused(block, &arguments));
        if errors.has_errors() { Err(errors) } else { Ok(arguments) }
    }
}

/// What does not belong into the block.
fn refused(block: &ast::Block, arguments: &[(String, Value)]) -> Diagnostics {
    let known: Vec<&str> = arguments.iter().map(|(argument, _)| argument.as_str()).collect();
    let statement = |statement: &ast::Statement| match statement {
        ast::Statement::Block(inner) => {
            let message = format!("a custom component takes attributes only, and {:?} is a block", inner.full_name());
            Some(Diagnostic::error(&inner.file, inner.header, message))
        }
        ast::Statement::Attribute(attribute) => {
            let name = attribute.name.name.as_str();
            (!known.contains(&name)).then(|| {
                let message = format!("Provided argument {name:?} is not defined in the module");
                let help = format!("it takes {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") });
                Diagnostic::error(&attribute.file, attribute.span, message).with_help(help)
            })
        }
    };
    block.body.statements.iter().filter_map(statement).collect()
}
