//! What was read of an alternative so far, and the limits on how patterns nest.

use regex_syntax::hir::{Capture, Hir, Repetition};

use crate::go_regex::error::{GoRegexError, SyntaxError};

/// Go's limit: how many copies of its innermost part a repetition may make.
pub(super) const MAX_COPIES: u32 = 1000;

/// How deep groups and repetitions may nest. Go allows 1,000; the engine compiles recursively, and the stack of a
/// sandbox is small.
const MAX_HEIGHT: u16 = 250;

/// A part of a pattern.
pub(super) struct Node {
    pub(super) hir: Hir,
    height: u16,
    /// How many copies of its innermost part the nested repetitions make.
    copies: u32,
}

/// The parts of one alternative. Neighbouring literals are one string until something applies to the last of them.
#[derive(Default)]
pub(super) struct Sequence {
    parts: Vec<Node>,
    literal: String,
}

impl Sequence {
    pub(super) fn push_literal(&mut self, c: char) {
        self.literal.push(c);
    }

    pub(super) fn push(&mut self, node: Node) {
        self.end_literal();
        self.parts.push(node);
    }

    pub(super) fn pop(&mut self) -> Option<Node> {
        match self.literal.pop() {
            Some(c) => Some(Node::leaf(literal(c.encode_utf8(&mut [0; 4])))),
            None => self.parts.pop(),
        }
    }

    pub(super) fn into_node(mut self, pattern: &str) -> Result<Node, GoRegexError> {
        self.end_literal();
        Node::group(self.parts, Hir::concat, pattern)
    }

    fn end_literal(&mut self) {
        if !self.literal.is_empty() {
            self.parts.push(Node::leaf(literal(&self.literal)));
            self.literal.clear();
        }
    }
}

impl Node {
    pub(super) fn leaf(hir: Hir) -> Self {
        Self { hir, height: 1, copies: 0 }
    }

    pub(super) fn alternation(alternatives: Vec<Self>, pattern: &str) -> Result<Self, GoRegexError> {
        Self::group(alternatives, Hir::alternation, pattern)
    }

    pub(super) fn captured(self, index: u32, pattern: &str) -> Result<Self, GoRegexError> {
        self.wrapped(pattern, |sub| Hir::capture(Capture { index, name: None, sub }))
    }

    pub(super) fn repeated(
        self,
        min: u32,
        max: Option<u32>,
        greedy: bool,
        pattern: &str,
    ) -> Result<Self, GoRegexError> {
        self.wrapped(pattern, |sub| Hir::repetition(Repetition { min, max, greedy, sub }))
    }

    /// `None` when the copies would be too many.
    pub(super) fn with_copies(mut self, count: u32) -> Option<Self> {
        self.copies = count.saturating_mul(self.copies.max(1));
        // Go does not look at the copies again unless this operator itself makes any.
        (count < 2 || self.copies <= MAX_COPIES).then_some(self)
    }

    fn group(parts: Vec<Self>, join: impl FnOnce(Vec<Hir>) -> Hir, pattern: &str) -> Result<Self, GoRegexError> {
        let joins = u16::from(parts.len() > 1);
        let highest = parts.iter().map(|part| part.height).max().unwrap_or(1);
        let copies = parts.iter().map(|part| part.copies).max().unwrap_or(0);
        let hir = join(parts.into_iter().map(|part| part.hir).collect());
        Self { hir, height: highest.saturating_add(joins), copies }.checked(pattern)
    }

    fn wrapped(self, pattern: &str, wrap: impl FnOnce(Box<Hir>) -> Hir) -> Result<Self, GoRegexError> {
        let Self { hir, height, copies } = self;
        Self { hir: wrap(Box::new(hir)), height: height.saturating_add(1), copies }.checked(pattern)
    }

    fn checked(self, pattern: &str) -> Result<Self, GoRegexError> {
        if self.height > MAX_HEIGHT { Err(SyntaxError::NestingDepth.at(pattern)) } else { Ok(self) }
    }
}

fn literal(text: &str) -> Hir {
    Hir::literal(text.as_bytes())
}
