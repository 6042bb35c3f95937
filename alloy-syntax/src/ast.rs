//! What the parser makes of a text.

use std::sync::Arc;

use crate::position::{Position, Span};
use crate::token::TokenKind;

mod references;

pub use references::Traversal;

/// A whole file.
#[derive(Debug, Clone)]
pub struct File {
    /// The file's name, as diagnostics give it.
    pub name: Arc<str>,
    /// Its statements.
    pub body: Body,
    /// Its comments, in order.
    pub comments: Vec<CommentGroup>,
}

/// Comments with no empty line between them.
pub type CommentGroup = Vec<Comment>;

/// One comment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comment {
    /// With its `//` or `/* */`, without carriage returns.
    pub text: String,
    /// Where it stands.
    pub span: Span,
}

/// The statements of a file or a block, in order.
#[derive(Debug, Clone, Default)]
pub struct Body {
    /// In the order of the text.
    pub statements: Vec<Statement>,
}

impl Body {
    /// The attributes, in order.
    pub fn attributes(&self) -> impl Iterator<Item = &Attribute> {
        self.statements.iter().filter_map(|statement| match statement {
            Statement::Attribute(attribute) => Some(attribute),
            Statement::Block(_) => None,
        })
    }

    /// The blocks, in order.
    pub fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.statements.iter().filter_map(|statement| match statement {
            Statement::Block(block) => Some(block),
            Statement::Attribute(_) => None,
        })
    }
}

/// One statement.
#[derive(Debug, Clone)]
pub enum Statement {
    /// `name = value`
    Attribute(Attribute),
    /// `name "label" { … }`
    Block(Block),
}

impl Statement {
    /// Where the statement stands.
    pub fn span(&self) -> Span {
        match self {
            Self::Attribute(attribute) => attribute.span,
            Self::Block(block) => block.span,
        }
    }
}

/// A name in the text.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// `name = value`
#[derive(Debug, Clone)]
pub struct Attribute {
    /// The file it stands in.
    pub file: Arc<str>,
    /// The name.
    pub name: Ident,
    /// The value.
    pub value: Expr,
    /// From the name to the value's end.
    pub span: Span,
}

/// `name.name "label" { … }`
#[derive(Debug, Clone)]
pub struct Block {
    /// The file it stands in.
    pub file: Arc<str>,
    /// The name's parts; at least one.
    pub name: Vec<Ident>,
    /// The label, if it is not empty.
    pub label: Option<Label>,
    /// What stands between the braces.
    pub body: Body,
    /// From the name to the closing brace.
    pub span: Span,
    /// From the name to the opening brace.
    pub header: Span,
    /// Where the closing brace stands.
    pub close: Position,
}

impl Block {
    /// The name with its dots.
    pub fn full_name(&self) -> String {
        let parts: Vec<&str> = self.name.iter().map(|part| part.name.as_str()).collect();
        parts.join(".")
    }

    /// The label's text, if there is one.
    pub fn label_text(&self) -> Option<&str> {
        self.label.as_ref().map(|label| label.text.as_str())
    }
}

/// A block's label.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// Without the quotes.
    pub text: String,
    /// With the quotes.
    pub span: Span,
}

/// An expression.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where it stands.
    pub span: Span,
    /// The file it stands in.
    pub file: Arc<str>,
    /// How many expressions lie inside each other below this one: bounds every recursion over it.
    pub(crate) depth: usize,
}

impl Expr {
    /// Where the expression stands.
    pub fn span(&self) -> Span {
        self.span
    }

    /// The name of the file that it stands in; may be empty.
    pub fn file(&self) -> &Arc<str> {
        &self.file
    }
}

/// What an expression is.
#[derive(Debug, Clone)]
pub enum ExprKind {
    /// `null`, a bool, a number or a string.
    Literal(Literal),
    /// `name`
    Identifier(String),
    /// `[a, b]`
    Array(Vec<Expr>),
    /// `{a = b}`
    Object(Vec<Field>),
    /// `value.name`
    Access {
        /// What stands before the dot.
        value: Box<Expr>,
        /// What stands behind it.
        name: Ident,
    },
    /// `value[index]`
    Index {
        /// What stands before the bracket.
        value: Box<Expr>,
        /// What stands in it.
        index: Box<Expr>,
        /// Where `[` stands.
        open: Position,
    },
    /// `function(arguments)`
    Call {
        /// What is called.
        function: Box<Expr>,
        /// With what.
        arguments: Vec<Expr>,
        /// Where `(` stands.
        open: Position,
    },
    /// `!value` or `-value`
    Unary {
        /// `!` or `-`
        operator: TokenKind,
        /// What it works on.
        value: Box<Expr>,
    },
    /// `left + right`
    Binary {
        /// What stands before the operator.
        left: Box<Expr>,
        /// The operator.
        operator: TokenKind,
        /// Where the operator stands.
        operator_at: Position,
        /// What stands behind it.
        right: Box<Expr>,
    },
    /// `(value)`
    Paren(Box<Expr>),
}

/// A literal as written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Literal {
    /// [`TokenKind::Null`], `Bool`, `Number`, `Float` or `String`.
    pub kind: TokenKind,
    /// Its text; a string has its quotes.
    pub text: String,
}

/// One field of an object.
#[derive(Debug, Clone)]
pub struct Field {
    /// The name; of a quoted one what stands between the quotes, its escapes as written.
    pub name: Ident,
    /// Whether it was quoted.
    pub quoted: bool,
    /// The value.
    pub value: Expr,
}
