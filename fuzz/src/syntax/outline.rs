//! What a tree says, whatever its layout: two texts mean the same where their outlines are equal.
//!
//! Left out are places and the files' names alone. Literals stand as they are written, and comments with their text
//! and in their order; which words a comment stands between is not compared.

use alloy_syntax::ast::{Attribute, Block, Body, Expr, ExprKind, Field, File, Ident, Label, Literal, Statement};

/// One entry for each node, indented by its depth.
pub(super) fn file(file: &File) -> Vec<String> {
    let File { name: _, body, comments } = file;
    let mut outline = Outline::default();
    outline.body(body);
    for comment in comments.iter().flatten() {
        outline.push(format!("comment {:?}", comment.text));
    }
    outline.entries
}

/// As [`file`], of one expression.
pub(super) fn expression(expression: &Expr) -> Vec<String> {
    let mut outline = Outline::default();
    outline.expression(expression);
    outline.entries
}

#[derive(Default)]
struct Outline {
    entries: Vec<String>,
    depth: usize,
}

// Every pattern names all fields: one that is added has to be thought of here.
impl Outline {
    fn push(&mut self, entry: impl AsRef<str>) {
        self.entries.push(format!("{:depth$}{}", "", entry.as_ref(), depth = self.depth));
    }

    fn below(&mut self, entry: impl AsRef<str>, children: impl FnOnce(&mut Self)) {
        self.push(entry);
        self.depth += 1;
        children(self);
        self.depth -= 1;
    }

    fn body(&mut self, body: &Body) {
        let Body { statements } = body;
        for statement in statements {
            match statement {
                Statement::Attribute(Attribute { file: _, name, value, span: _ }) => {
                    self.below(format!("attribute {}", ident(name)), |outline| outline.expression(value));
                }
                Statement::Block(Block { file: _, name, label, body, span: _, header: _, close: _ }) => {
                    let name: Vec<&str> = name.iter().map(ident).collect();
                    let label = label.as_ref().map(|Label { text, span: _ }| text);
                    self.below(format!("block {name:?} {label:?}"), |outline| outline.body(body));
                }
            }
        }
    }

    fn expression(&mut self, expression: &Expr) {
        match &expression.kind {
            ExprKind::Literal(Literal { kind, text }) => self.push(format!("literal {kind:?} {text:?}")),
            ExprKind::Identifier(name) => self.push(format!("name {name}")),
            ExprKind::Array(elements) => self.below("array", |outline| outline.expressions(elements)),
            ExprKind::Object(fields) => self.below("object", |outline| {
                for Field { name, quoted, value } in fields {
                    outline.below(format!("field {:?} {quoted}", ident(name)), |outline| outline.expression(value));
                }
            }),
            ExprKind::Access { value, name } => {
                self.below(format!("access {}", ident(name)), |outline| outline.expression(value));
            }
            ExprKind::Index { value, index, open: _ } => self.below("index", |outline| {
                outline.expression(value);
                outline.expression(index);
            }),
            ExprKind::Call { function, arguments, open: _ } => self.below("call", |outline| {
                outline.expression(function);
                outline.expressions(arguments);
            }),
            ExprKind::Unary { operator, value } => {
                self.below(format!("unary {operator:?}"), |outline| outline.expression(value));
            }
            ExprKind::Binary { left, operator, operator_at: _, right } => {
                self.below(format!("binary {operator:?}"), |outline| {
                    outline.expression(left);
                    outline.expression(right);
                });
            }
            ExprKind::Paren(inner) => self.below("paren", |outline| outline.expression(inner)),
        }
    }

    fn expressions(&mut self, expressions: &[Expr]) {
        for expression in expressions {
            self.expression(expression);
        }
    }
}

fn ident(ident: &Ident) -> &str {
    let Ident { name, span: _ } = ident;
    name
}
