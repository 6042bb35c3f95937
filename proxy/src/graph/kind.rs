//! A kind of component, with its type forgotten: how the graph makes one of a block.

use std::sync::Arc;

use alloy_syntax::{Arguments, Diagnostic, Diagnostics, Schema, Scope, ast, decode_block_with_warnings};

use super::Node;
use crate::component::{AnyComponent, Component, Context, Services};
use crate::telemetry::metrics::ComponentLabels;

/// A kind of component.
pub struct Kind {
    /// The block's name.
    pub name: &'static str,
    /// What may stand in the block.
    pub schema: fn() -> Schema,
    pub(super) evaluate: Evaluate,
}

type Evaluate = fn(
    &ast::Block,
    &Scope,
    ComponentLabels,
    &Services,
    Option<&Arc<Node>>,
) -> Result<(Arc<Node>, Diagnostics), Diagnostics>;

impl Kind {
    /// The kind that a component is of.
    pub const fn of<C: Component>() -> Self {
        Self { name: C::NAME, schema: <C::Arguments as Arguments>::schema, evaluate: evaluate::<C> }
    }
}

/// Decodes a block, and takes over the component that runs where its arguments are the same, or builds one.
fn evaluate<C: Component>(
    block: &ast::Block,
    scope: &Scope,
    labels: ComponentLabels,
    services: &Services,
    previous: Option<&Arc<Node>>,
) -> Result<(Arc<Node>, Diagnostics), Diagnostics> {
    let decoded = decode_block_with_warnings::<C::Arguments>(block, scope)?;
    let arguments = decoded.value;
    let unchanged = previous.filter(|node| node.arguments.downcast_ref() == Some(&arguments));
    if let Some(node) = unchanged {
        return Ok((node.clone(), decoded.warnings));
    }
    let before = previous.and_then(|node| {
        let component: &dyn AnyComponent = &*node.component;
        (component as &dyn std::any::Any).downcast_ref::<C>()
    });
    let context = Context { component: labels.clone(), services };
    let component = C::build(&arguments, &context, before).map_err(|invalid| {
        let at =
            invalid.attribute.and_then(|name| block.body.attributes().find(|attribute| attribute.name.name == name));
        let span = at.map_or(block.header, |attribute| attribute.value.span);
        Diagnostics::from(Diagnostic::error(&block.file, span, invalid.message))
    })?;
    let exports = component.exports();
    let node = Node { labels, kind: C::NAME, arguments: Box::new(arguments), component: Arc::new(component), exports };
    Ok((Arc::new(node), decoded.warnings))
}
