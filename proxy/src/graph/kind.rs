//! A kind of block, with its type forgotten: how the graph makes a component of one.

use std::any::Any;
use std::sync::Arc;

use alloy_syntax::schema::Export;
use alloy_syntax::{
    Arguments, Checked, Diagnostic, Diagnostics, Schema, Scope, Span, Value, ast, check_block,
    decode_block_with_warnings,
};

use super::node::Running;
use crate::component::{AnyComponent, Component, Context, RECEIVER, Services};
use crate::pipeline::Receiver;
use crate::telemetry::metrics::ComponentLabels;

/// A kind of block.
pub struct Kind {
    /// The block's name.
    pub name: &'static str,
    /// What such blocks are.
    pub role: Role,
    /// What may stand in the block.
    pub schema: fn() -> Schema,
    /// What its components export.
    pub exports: &'static [Export],
    /// What it is for, in one line.
    pub summary: &'static str,
    pub(super) evaluate: Evaluate,
    pub(super) check: fn(&ast::Block, &Scope) -> Result<Diagnostics, Diagnostics>,
    pub(super) is_known: fn(&ast::Block, &Scope) -> Result<bool, Diagnostics>,
}

/// What blocks of a kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A part of the pipeline; it has a label, by which others refer to it.
    Component,
    /// Brings custom components under a namespace, which is its label, from this host.
    Import,
    /// Brings them from elsewhere.
    RemoteImport,
    /// Settings of the process; at most once, without a label, outside of modules.
    Settings,
}

impl Role {
    /// Whether blocks of the kind bring custom components.
    pub fn is_import(self) -> bool {
        matches!(self, Self::Import | Self::RemoteImport)
    }
}

type Evaluate = fn(
    &ast::Block,
    &Scope,
    ComponentLabels,
    &Services,
    Option<&Running>,
) -> Result<(Running, Diagnostics), Diagnostics>;

impl Kind {
    /// The kind that a component is of.
    pub const fn of<C: Component>() -> Self {
        Self::new::<C>(Role::Component)
    }

    /// The kind that an import from this host is of.
    pub const fn import<C: Component>() -> Self {
        Self::new::<C>(Role::Import)
    }

    /// The kind that an import from elsewhere is of.
    pub const fn remote_import<C: Component>() -> Self {
        Self::new::<C>(Role::RemoteImport)
    }

    /// The kind that a block of settings is of.
    pub const fn settings<C: Component>() -> Self {
        Self::new::<C>(Role::Settings)
    }

    const fn new<C: Component>(role: Role) -> Self {
        Self {
            name: C::NAME,
            role,
            schema: <C::Arguments as Arguments>::schema,
            exports: C::EXPORTS,
            summary: C::SUMMARY,
            evaluate: evaluate::<C>,
            check: check::<C>,
            is_known: is_known::<C>,
        }
    }

    /// What a component exports that is not built: receivers that take nothing, and values that are not known.
    pub(super) fn unbuilt_exports(&self) -> Value {
        let value = |export: &Export| match export.type_name {
            RECEIVER => Value::capsule(Receiver::unbuilt()),
            _ => Value::unknown(),
        };
        Value::object(self.exports.iter().map(|export| (export.name, value(export))))
    }
}

/// Decodes a block and builds nothing.
fn check<C: Component>(block: &ast::Block, scope: &Scope) -> Result<Diagnostics, Diagnostics> {
    Ok(match check_block::<C::Arguments>(block, scope)? {
        Checked::Known(decoded) => decoded.warnings,
        Checked::Unknown { warnings } => warnings,
    })
}

/// Whether everything in a block is known.
fn is_known<C: Component>(block: &ast::Block, scope: &Scope) -> Result<bool, Diagnostics> {
    Ok(matches!(check_block::<C::Arguments>(block, scope)?, Checked::Known(_)))
}

/// Decodes a block, and takes over the component that runs where its arguments are the same, or builds one.
fn evaluate<C: Component>(
    block: &ast::Block,
    scope: &Scope,
    labels: ComponentLabels,
    services: &Services,
    previous: Option<&Running>,
) -> Result<(Running, Diagnostics), Diagnostics> {
    let decoded = decode_block_with_warnings::<C::Arguments>(block, scope)?;
    let arguments = decoded.value;
    let same = |running: &&Running| {
        let before: &dyn Any = &*running.arguments;
        before.downcast_ref() == Some(&arguments)
    };
    if let Some(unchanged) = previous.filter(same) {
        return Ok((unchanged.clone(), decoded.warnings));
    }
    let before = previous.and_then(|running| {
        let component: &dyn Any = &*running.component;
        component.downcast_ref::<C>()
    });
    let context = Context { component: labels, services };
    let component = C::build(&arguments, &context, before).map_err(|invalid| {
        let span = invalid.attribute.and_then(|name| place(block, name)).unwrap_or(block.header);
        Diagnostics::from(Diagnostic::error(&block.file, span, invalid.message))
    })?;
    let component: Arc<dyn AnyComponent> = Arc::new(component);
    Ok((Running { arguments: Arc::new(arguments), component }, decoded.warnings))
}

/// Where an attribute's value stands, or a block of the name.
fn place(block: &ast::Block, name: &str) -> Option<Span> {
    let attribute = block.body.attributes().find(|attribute| attribute.name.name == name);
    let inner = || block.body.blocks().find(|inner| inner.full_name() == name).map(|inner| inner.header);
    attribute.map(|attribute| attribute.value.span).or_else(inner)
}
