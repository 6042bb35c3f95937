//! Expressions.

use std::sync::Arc;

use super::{MAX_DEPTH, Parser};
use crate::ast::{Expr, ExprKind, Field, Ident, Literal};
use crate::position::{Position, Span};
use crate::token::TokenKind;

impl Parser<'_> {
    pub(super) fn parse_expression(&mut self) -> Expr {
        if !self.enter() {
            return self.missing_expression();
        }
        let expression = self.parse_binary(1);
        self.leave();
        expression
    }

    /// Binary operators that bind at least as tightly as `lowest`, all but `^` of them from left to right.
    fn parse_binary(&mut self, lowest: u8) -> Expr {
        let mut left = self.parse_power();
        while let Some(precedence) = self.token.kind.precedence().filter(|&precedence| precedence >= lowest) {
            let (operator, operator_at) = (self.token.kind, self.token.start);
            self.advance();
            let right = self.parse_binary(precedence + 1);
            left = self.binary(left, operator, operator_at, right);
        }
        left
    }

    /// `^`, from right to left.
    fn parse_power(&mut self) -> Expr {
        let left = self.parse_unary();
        if self.token.kind != TokenKind::Pow {
            return left;
        }
        let operator_at = self.token.start;
        self.advance();
        if !self.enter() {
            return left;
        }
        let right = self.parse_power();
        self.leave();
        self.binary(left, TokenKind::Pow, operator_at, right)
    }

    fn parse_unary(&mut self) -> Expr {
        if !matches!(self.token.kind, TokenKind::Not | TokenKind::Sub) {
            return self.parse_operand();
        }
        let (operator, start) = (self.token.kind, self.token.start);
        self.advance();
        if !self.enter() {
            return self.missing_expression();
        }
        let value = self.parse_unary();
        self.leave();
        self.expression(start, ExprKind::Unary { operator, value: Box::new(value) })
    }

    /// A primary with the accesses, indexes and calls behind it.
    fn parse_operand(&mut self) -> Expr {
        let start = self.token.start;
        let mut operand = self.parse_primary();
        loop {
            let open = self.token.start;
            let kind = match self.token.kind {
                TokenKind::Dot => {
                    self.advance();
                    let name = Ident { name: self.token.text.clone(), span: self.token_span() };
                    self.expect(TokenKind::Ident);
                    ExprKind::Access { value: Box::new(operand), name }
                }
                TokenKind::LeftBracket => {
                    self.advance();
                    let index = self.parse_expression();
                    self.expect(TokenKind::RightBracket);
                    ExprKind::Index { value: Box::new(operand), index: Box::new(index), open }
                }
                TokenKind::LeftParen => {
                    self.advance();
                    let arguments = self.parse_list(TokenKind::RightParen);
                    self.expect(TokenKind::RightParen);
                    ExprKind::Call { function: Box::new(operand), arguments, open }
                }
                TokenKind::String | TokenKind::LeftCurly => {
                    if !self.parse_misplaced_block(start) {
                        return operand;
                    }
                    continue;
                }
                _ => return operand,
            };
            operand = self.expression(start, kind);
        }
    }

    /// What stands behind an operand looks like a block's label or body: says so, if the rest is one.
    fn parse_misplaced_block(&mut self, start: Position) -> bool {
        if self.token.kind == TokenKind::String {
            self.advance();
        }
        if !self.expect(TokenKind::LeftCurly) {
            self.skip_statement();
            return false;
        }
        self.parse_body(TokenKind::RightCurly);
        if !self.expect(TokenKind::RightCurly) {
            self.skip_statement();
            return false;
        }
        self.report(Span::new(start, self.previous_end), "cannot use a block as an expression");
        true
    }

    fn parse_primary(&mut self) -> Expr {
        let start = self.token.start;
        let kind = match self.token.kind {
            TokenKind::Ident => {
                let name = self.token.text.clone();
                self.advance();
                ExprKind::Identifier(name)
            }
            kind @ (TokenKind::String | TokenKind::Number | TokenKind::Float | TokenKind::Bool | TokenKind::Null) => {
                let text = self.token.text.clone();
                self.advance();
                ExprKind::Literal(Literal { kind, text })
            }
            TokenKind::LeftParen => {
                self.advance();
                let inner = self.parse_expression();
                self.expect(TokenKind::RightParen);
                ExprKind::Paren(Box::new(inner))
            }
            TokenKind::LeftBracket => {
                self.advance();
                let elements = self.parse_list(TokenKind::RightBracket);
                self.expect(TokenKind::RightBracket);
                ExprKind::Array(elements)
            }
            TokenKind::LeftCurly => {
                self.advance();
                // A `]` cannot be meant as a field's name.
                let mismatched = self.token.kind == TokenKind::RightBracket;
                let fields = if mismatched { Vec::new() } else { self.parse_fields() };
                self.expect(TokenKind::RightCurly);
                ExprKind::Object(fields)
            }
            got => {
                self.error(format!("expected expression, got {got}"));
                return self.missing_expression();
            }
        };
        self.expression(start, kind)
    }

    /// Expressions with commas between them; the last may have one too.
    fn parse_list(&mut self, until: TokenKind) -> Vec<Expr> {
        let mut list = Vec::new();
        while self.token.kind != until && self.token.kind != TokenKind::Eof {
            list.push(self.parse_expression());
            self.parse_comma(until, "expression");
        }
        list
    }

    fn parse_fields(&mut self) -> Vec<Field> {
        let mut fields = Vec::new();
        while self.token.kind != TokenKind::RightCurly && self.token.kind != TokenKind::Eof {
            fields.push(self.parse_field());
            self.parse_comma(TokenKind::RightCurly, "field");
        }
        fields
    }

    fn parse_comma(&mut self, until: TokenKind, list: &str) {
        if self.token.kind == until {
            return;
        }
        if self.token.kind != TokenKind::Comma {
            self.error(format!("missing ',' in {list} list"));
        }
        self.advance();
    }

    fn parse_field(&mut self) -> Field {
        let mut name = Ident { name: String::new(), span: self.token_span() };
        let mut quoted = false;
        if matches!(self.token.kind, TokenKind::String | TokenKind::Ident) {
            let text = &self.token.text;
            // The empty key keeps its quotes, as the reference has it.
            quoted = self.token.kind == TokenKind::String && text.len() > 2;
            let unquoted = if quoted { text.get(1..text.len() - 1) } else { None };
            name.name = unquoted.unwrap_or(text).to_owned();
            self.advance();
        } else {
            self.error(format!("expected field name (string or identifier), got {}", self.token.kind));
            self.skip_to(TokenKind::Assign);
        }
        self.expect(TokenKind::Assign);
        let value = self.parse_expression();
        Field { name, quoted, value }
    }

    /// Stands for an expression that was not there; goes to where it would have ended.
    fn missing_expression(&mut self) -> Expr {
        let literal = Literal { kind: TokenKind::Null, text: "null".to_owned() };
        let position = self.token.start;
        while !matches!(
            self.token.kind,
            TokenKind::Eof
                | TokenKind::Terminator
                | TokenKind::RightParen
                | TokenKind::RightCurly
                | TokenKind::RightBracket
                | TokenKind::Comma
        ) {
            self.advance();
        }
        Expr {
            kind: ExprKind::Literal(literal),
            span: Span::new(position, position),
            file: Arc::clone(&self.file),
            depth: 0,
        }
    }

    fn binary(&mut self, left: Expr, operator: TokenKind, operator_at: Position, right: Expr) -> Expr {
        let start = left.span.start;
        let (left, right) = (Box::new(left), Box::new(right));
        self.expression(start, ExprKind::Binary { left, operator, operator_at, right })
    }

    /// An expression from `start` to the last word read. Chains like `a + b + c` or `a.b.c` grow without
    /// recursion here, so that their depth is counted as they grow.
    fn expression(&mut self, start: Position, kind: ExprKind) -> Expr {
        let depth = 1 + deepest_child(&kind);
        if depth > MAX_DEPTH && !self.too_deep {
            self.report_too_deep();
        }
        let span = Span::new(start, self.previous_end);
        Expr { kind, span, file: Arc::clone(&self.file), depth }
    }
}

fn deepest_child(kind: &ExprKind) -> usize {
    match kind {
        ExprKind::Literal(_) | ExprKind::Identifier(_) => 0,
        ExprKind::Array(elements) => elements.iter().map(|element| element.depth).max().unwrap_or(0),
        ExprKind::Object(fields) => fields.iter().map(|field| field.value.depth).max().unwrap_or(0),
        ExprKind::Access { value, .. } | ExprKind::Unary { value, .. } | ExprKind::Paren(value) => value.depth,
        ExprKind::Index { value, index, .. } => value.depth.max(index.depth),
        ExprKind::Call { function, arguments, .. } => {
            arguments.iter().map(|argument| argument.depth).max().unwrap_or(0).max(function.depth)
        }
        ExprKind::Binary { left, right, .. } => left.depth.max(right.depth),
    }
}
