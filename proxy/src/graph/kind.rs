//! A kind of block, with its type forgotten: how the graph makes a component of one.

use std::any::Any;
use std::sync::Arc;

use alloy_syntax::{Arguments, Diagnostic, Diagnostics, Schema, Scope, ast, decode_block_with_warnings};

use super::node::Running;
use crate::component::{AnyComponent, Component, Context, Services};
use crate::telemetry::metrics::ComponentLabels;

/// A kind of block.
pub struct Kind {
    /// The block's name.
    pub name: &'static str,
    /// What such blocks are.
    pub role: Role,
    /// What may stand in the block.
    pub schema: fn() -> Schema,
    pub(super) evaluate: Evaluate,
}

/// What blocks of a kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A part of the pipeline; it has a label, by which others refer to it.
    Component,
    /// Brings custom components under a namespace, which is its label.
    Import,
    /// Settings of the process; at most once, without a label, outside of modules.
    Settings,
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

    /// The kind that an import is of.
    pub const fn import<C: Component>() -> Self {
        Self::new::<C>(Role::Import)
    }

    /// The kind that a block of settings is of.
    pub const fn settings<C: Component>() -> Self {
        Self::new::<C>(Role::Settings)
    }

    const fn new<C: Component>(role: Role) -> Self {
        Self { name: C::NAME, role, schema: <C::Arguments as Arguments>::schema, evaluate: evaluate::<C> }
    }
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
    if let Some(unchanged) = previous.filter(|running| running.arguments.downcast_ref() == Some(&arguments)) {
        return Ok((unchanged.clone(), decoded.warnings));
    }
    let before = previous.and_then(|running| {
        let component: &dyn Any = &*running.component;
        component.downcast_ref::<C>()
    });
    let context = Context { component: labels, services };
    let component = C::build(&arguments, &context, before).map_err(|invalid| {
        let at =
            invalid.attribute.and_then(|name| block.body.attributes().find(|attribute| attribute.name.name == name));
        let span = at.map_or(block.header, |attribute| attribute.value.span);
        Diagnostics::from(Diagnostic::error(&block.file, span, invalid.message))
    })?;
    let component: Arc<dyn AnyComponent> = Arc::new(component);
    Ok((Running { arguments: Arc::new(arguments), component }, decoded.warnings))
}
