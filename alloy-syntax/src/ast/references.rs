//! Which names a piece of the text refers to.

use super::{Block, Body, Expr, ExprKind, Ident, Statement};
use crate::position::Span;

/// A chain of names, `root.field.field`, as far as it has no index and no call in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traversal {
    /// The root identifier, then the fields; never empty.
    pub parts: Vec<Ident>,
    /// Where the chain stands.
    pub span: Span,
}

impl Traversal {
    /// The names alone.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|part| part.name.as_str())
    }
}

impl Expr {
    /// The chains of names in the expression, in order.
    pub fn references(&self) -> Vec<Traversal> {
        let mut found = Vec::new();
        self.collect_references(&mut found);
        found
    }

    /// The expression as a chain of names, if it is nothing else.
    pub fn as_traversal(&self) -> Option<Traversal> {
        let mut parts = Vec::new();
        let mut at = self;
        loop {
            match &at.kind {
                ExprKind::Access { value, name } => {
                    parts.push(name.clone());
                    at = value;
                }
                ExprKind::Identifier(name) => {
                    parts.push(Ident { name: name.clone(), span: at.span });
                    parts.reverse();
                    return Some(Traversal { parts, span: self.span });
                }
                _ => return None,
            }
        }
    }

    fn collect_references(&self, found: &mut Vec<Traversal>) {
        match &self.kind {
            ExprKind::Literal(_) => {}
            ExprKind::Identifier(_) => found.extend(self.as_traversal()),
            ExprKind::Access { value, .. } => match self.as_traversal() {
                Some(traversal) => found.push(traversal),
                None => value.collect_references(found),
            },
            ExprKind::Index { value, index, .. } => {
                value.collect_references(found);
                index.collect_references(found);
            }
            ExprKind::Call { function, arguments, .. } => {
                function.collect_references(found);
                for argument in arguments {
                    argument.collect_references(found);
                }
            }
            ExprKind::Array(elements) => {
                for element in elements {
                    element.collect_references(found);
                }
            }
            ExprKind::Object(fields) => {
                for field in fields {
                    field.value.collect_references(found);
                }
            }
            ExprKind::Unary { value, .. } | ExprKind::Paren(value) => value.collect_references(found),
            ExprKind::Binary { left, right, .. } => {
                left.collect_references(found);
                right.collect_references(found);
            }
        }
    }
}

impl Body {
    /// The chains of names in all attributes, those of nested blocks included, in order.
    pub fn references(&self) -> Vec<Traversal> {
        let mut found = Vec::new();
        for statement in &self.statements {
            match statement {
                Statement::Attribute(attribute) => attribute.value.collect_references(&mut found),
                Statement::Block(block) => found.extend(block.references()),
            }
        }
        found
    }
}

impl Block {
    /// The chains of names in all attributes, those of nested blocks included, in order.
    pub fn references(&self) -> Vec<Traversal> {
        self.body.references()
    }
}
