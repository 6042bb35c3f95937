//! Which spaces stand where.

use super::printer::{Printer, Space};
use crate::ast::{Attribute, Block, Body, Expr, ExprKind, Field, Statement};
use crate::position::Position;
use crate::token::TokenKind;

impl Printer<'_> {
    pub(super) fn body(&mut self, body: &Body) {
        let mut previous: Option<&Statement> = None;
        for statement in &body.statements {
            if let Some(previous) = previous {
                let gap = statement.span().start.line.saturating_sub(previous.span().end.line);
                // A block always has an empty line before it, anything else if it had one.
                if matches!(statement, Statement::Block(_)) || gap > 1 {
                    self.space(Space::Break);
                }
            }
            let lines = match statement {
                Statement::Attribute(attribute) => self.attribute(attribute),
                Statement::Block(block) => self.block(block),
            };
            self.space(if lines > 1 { Space::Break } else { Space::Newline });
            previous = Some(statement);
        }
    }

    /// Gives the number of lines that the attribute takes, as it is laid out here: comments before it do not count.
    fn attribute(&mut self, attribute: &Attribute) -> usize {
        self.move_to(attribute.name.span.start);
        self.word(TokenKind::Ident, &attribute.name.name);
        let first_line = self.line();
        self.space(Space::Column);
        self.symbol_behind(TokenKind::Assign);
        self.space(Space::Blank);
        self.expression(&attribute.value);
        self.line() - first_line + 1
    }

    /// As [`attribute`](Self::attribute).
    fn block(&mut self, block: &Block) -> usize {
        self.move_to(block.span.start);
        self.word(TokenKind::Ident, &block.full_name());
        let first_line = self.line();
        if let Some(label) = &block.label {
            self.space(Space::Blank);
            self.move_to(label.span.start);
            self.word(TokenKind::String, &crate::quote::quote(&label.text));
        }
        self.space(Space::Blank);
        self.move_to(block.header.end);
        self.symbol(TokenKind::LeftCurly);
        self.space(Space::Indent);
        if block.body.statements.is_empty() {
            self.space(Space::Blank);
        } else {
            self.space(Space::Break);
            self.body(&block.body);
        }
        self.space(Space::Unindent);
        self.move_to(block.close);
        self.symbol(TokenKind::RightCurly);
        self.line() - first_line + 1
    }

    pub(super) fn expression(&mut self, expression: &Expr) {
        let start = expression.span.start;
        match &expression.kind {
            ExprKind::Literal(literal) => {
                self.move_to(start);
                self.word(literal.kind, &literal.text);
            }
            ExprKind::Identifier(name) => {
                self.move_to(start);
                self.word(TokenKind::Ident, name);
            }
            ExprKind::Array(elements) => self.array(start, elements, last_place(expression)),
            ExprKind::Object(fields) => self.object(start, fields, last_place(expression)),
            ExprKind::Access { value, name } => {
                self.expression(value);
                self.symbol_behind(TokenKind::Dot);
                self.move_to(name.span.start);
                self.word(TokenKind::Ident, &name.name);
            }
            ExprKind::Index { value, index, open } => {
                self.expression(value);
                self.move_to(*open);
                self.symbol(TokenKind::LeftBracket);
                self.expression(index);
                self.move_to(last_place(expression));
                self.symbol(TokenKind::RightBracket);
            }
            ExprKind::Call { function, arguments, open } => {
                self.expression(function);
                self.arguments(*open, arguments, last_place(expression));
            }
            ExprKind::Unary { operator, value } => {
                self.move_to(start);
                self.symbol(*operator);
                self.expression(value);
            }
            ExprKind::Binary { left, operator, operator_at, right } => {
                self.expression(left);
                self.space(Space::Blank);
                self.move_to(*operator_at);
                self.symbol(*operator);
                self.space(Space::Blank);
                self.expression(right);
            }
            ExprKind::Paren(inner) => {
                self.move_to(start);
                self.symbol(TokenKind::LeftParen);
                self.expression(inner);
                self.move_to(last_place(expression));
                self.symbol(TokenKind::RightParen);
            }
        }
    }

    /// Elements stay on the lines they are on.
    fn array(&mut self, open: Position, elements: &[Expr], close: Position) {
        self.move_to(open);
        self.symbol(TokenKind::LeftBracket);
        let mut previous_end = open;
        for (index, element) in elements.iter().enumerate() {
            let own_line = element.span.start.line != previous_end.line;
            if own_line {
                // Indented before the line's end, so that comments there are too.
                self.space(Space::Indent);
                self.space(Space::Break);
            } else if index > 0 {
                self.space(Space::Blank);
            }
            previous_end = element.span.end;
            self.expression(element);
            if index + 1 < elements.len() {
                self.symbol_behind(TokenKind::Comma);
            }
            if own_line {
                self.space(Space::Unindent);
            }
        }
        if !elements.is_empty() && previous_end.line != close.line {
            self.symbol_behind(TokenKind::Comma);
            self.space(Space::Indent);
            self.space(Space::Break);
            self.space(Space::Unindent);
        }
        self.move_to(close);
        self.symbol(TokenKind::RightBracket);
    }

    fn object(&mut self, open: Position, fields: &[Field], close: Position) {
        self.move_to(open);
        self.symbol(TokenKind::LeftCurly);
        self.space(Space::Indent);
        let mut previous: Option<&Field> = None;
        let mut previous_lines = 1;
        for (index, field) in fields.iter().enumerate() {
            let previous_line = previous.map_or(open.line, |field| field.name.span.end.line);
            let start = field.name.span.start;
            if start.line != previous_line {
                // A field is aligned with the one before unless that spreads over lines.
                let aligned = previous.is_some() && previous_lines == 1;
                self.space(if aligned { Space::Newline } else { Space::Break });
            } else if previous.is_some() {
                self.space(Space::Blank);
            }
            self.move_to(start);
            if field.quoted {
                self.word(TokenKind::String, &format!("\"{}\"", field.name.name));
            } else {
                self.word(TokenKind::Ident, &field.name.name);
            }
            let first_line = self.line();
            self.space(Space::Column);
            self.symbol_behind(TokenKind::Assign);
            self.space(Space::Blank);
            self.expression(&field.value);
            previous_lines = self.line() - first_line + 1;
            if index + 1 < fields.len() {
                self.symbol_behind(TokenKind::Comma);
            }
            previous = Some(field);
        }
        if previous.is_some_and(|previous| previous.name.span.end.line != close.line) {
            self.symbol_behind(TokenKind::Comma);
            self.space(Space::Break);
        }
        self.space(Space::Unindent);
        self.move_to(close);
        self.symbol(TokenKind::RightCurly);
    }

    fn arguments(&mut self, open: Position, arguments: &[Expr], close: Position) {
        self.move_to(open);
        self.symbol(TokenKind::LeftParen);
        let mut previous_end = open;
        for (index, argument) in arguments.iter().enumerate() {
            let own_line = argument.span.start.line != previous_end.line;
            if own_line {
                self.space(Space::Break);
                self.space(Space::Indent);
            }
            self.expression(argument);
            previous_end = argument.span.end;
            if index + 1 < arguments.len() {
                self.symbol_behind(TokenKind::Comma);
                self.space(Space::Blank);
            }
            if own_line {
                self.space(Space::Unindent);
            }
        }
        if !arguments.is_empty() && previous_end.line != close.line {
            self.symbol_behind(TokenKind::Comma);
            self.space(Space::Break);
        }
        self.move_to(close);
        self.symbol(TokenKind::RightParen);
    }
}

/// Where an expression's last character stands, a bracket.
fn last_place(expression: &Expr) -> Position {
    let end = expression.span.end;
    Position { column: end.column.saturating_sub(1), offset: end.offset.saturating_sub(1), ..end }
}
