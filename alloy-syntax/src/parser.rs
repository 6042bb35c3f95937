//! Makes a tree of a text, and goes on after an error so that one run shows many.

use std::sync::Arc;

use crate::ast::{Attribute, Block, Body, Comment, CommentGroup, Expr, File, Ident, Label, Statement};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::identifier::is_valid_identifier;
use crate::position::{Position, Span};
use crate::quote::quote;
use crate::scanner::Scanner;
use crate::token::{Token, TokenKind};

mod expression;

/// How deep blocks and expressions may lie inside each other. Each level costs a few stack frames when the
/// tree is parsed, evaluated, printed and dropped; with this many half of a thread's usual 2 MiB suffices.
pub(crate) const MAX_DEPTH: usize = 100;

/// Parses a file.
///
/// # Errors
///
/// Everything that is wrong with it; of several errors on one line only the first, unless the scanner
/// found them.
pub fn parse_file(name: &str, source: &str) -> Result<File, Diagnostics> {
    parse_file_bytes(name, source.as_bytes())
}

/// Parses a file whose bytes may turn out to be no text.
///
/// # Errors
///
/// As [`parse_file`], and every place that is not UTF-8.
pub fn parse_file_bytes(name: &str, source: &[u8]) -> Result<File, Diagnostics> {
    let mut parser = Parser::new(name, source);
    let body = parser.parse_body(TokenKind::Eof);
    if parser.diagnostics.is_empty() {
        Ok(File { name: parser.file, body, comments: parser.comments })
    } else {
        Err(parser.diagnostics)
    }
}

/// Parses one expression, up to the end of its line.
///
/// # Errors
///
/// Everything that is wrong with it.
pub fn parse_expression(name: &str, source: &str) -> Result<Expr, Diagnostics> {
    let mut parser = Parser::new(name, source.as_bytes());
    let expression = parser.parse_expression();
    parser.expect(TokenKind::Terminator);
    if parser.diagnostics.is_empty() { Ok(expression) } else { Err(parser.diagnostics) }
}

struct Parser<'a> {
    file: Arc<str>,
    scanner: Scanner<'a>,
    token: Token,
    /// Where the word before `token` ended.
    previous_end: Position,
    comments: Vec<CommentGroup>,
    diagnostics: Diagnostics,
    last_error_line: Option<usize>,
    depth: usize,
    /// Set when the text goes deeper than [`MAX_DEPTH`]: nothing is reported behind that.
    too_deep: bool,
}

/// A statement's words before its `=` or `{`.
struct Header {
    name: Vec<Ident>,
    label: Option<Label>,
    has_label: Option<Span>,
}

impl<'a> Parser<'a> {
    fn new(name: &str, source: &'a [u8]) -> Self {
        let start = Position::START;
        let mut parser = Self {
            file: Arc::from(name),
            scanner: Scanner::new(source),
            token: Token { kind: TokenKind::Eof, start, end: start, text: String::new() },
            previous_end: start,
            comments: Vec::new(),
            diagnostics: Diagnostics::new(),
            last_error_line: None,
            depth: 0,
            too_deep: false,
        };
        parser.advance();
        parser
    }

    /// `Body = [ Statement { TERMINATOR Statement } ]`, up to but without `until`.
    fn parse_body(&mut self, until: TokenKind) -> Body {
        let mut body = Body::default();
        if !self.enter() {
            return body;
        }
        while self.token.kind != until && self.token.kind != TokenKind::Eof {
            body.statements.extend(self.parse_statement());
            if self.token.kind == until {
                break;
            }
            if self.token.kind != TokenKind::Terminator {
                self.error(format!("expected {}, got {}", TokenKind::Terminator, self.token.kind));
                self.skip_statement();
            }
            self.advance();
        }
        self.leave();
        body
    }

    fn parse_statement(&mut self) -> Option<Statement> {
        let start = self.token.start;
        let Some(header) = self.parse_header() else {
            self.skip_to(TokenKind::Ident);
            return None;
        };
        match self.token.kind {
            TokenKind::Assign => self.parse_attribute(header, start).map(Statement::Attribute),
            TokenKind::LeftCurly => Some(Statement::Block(self.parse_block(header, start))),
            got => {
                let may_be_attribute = header.name.len() == 1 && header.label.is_none();
                let expected = if may_be_attribute { "attribute assignment or block body" } else { "block body" };
                self.error(format!("expected {expected}, got {got}"));
                self.skip_to(TokenKind::Ident);
                None
            }
        }
    }

    fn parse_attribute(&mut self, header: Header, start: Position) -> Option<Attribute> {
        self.advance();
        let last_part_end = header.name.last().map_or(start, |part| part.span.end);
        if header.name.len() > 1 {
            let message = "attribute names may only consist of a single identifier with no \".\"";
            self.report(Span::new(start, last_part_end), message);
        } else if let Some(label) = header.has_label {
            self.report(label, "attribute names may not have labels");
        }
        let value = self.parse_expression();
        let span = Span::new(start, value.span.end);
        let name = header.name.into_iter().next()?;
        Some(Attribute { file: Arc::clone(&self.file), name, value, span })
    }

    fn parse_block(&mut self, header: Header, start: Position) -> Block {
        let header_span = Span::new(start, self.token.start);
        self.advance();
        let body = self.parse_body(TokenKind::RightCurly);
        let close = self.token.start;
        self.expect(TokenKind::RightCurly);
        Block {
            file: Arc::clone(&self.file),
            name: header.name,
            label: header.label,
            body,
            span: Span::new(start, self.previous_end),
            header: header_span,
            close,
        }
    }

    /// `identifier { "." identifier } [ string ]`
    fn parse_header(&mut self) -> Option<Header> {
        if self.token.kind != TokenKind::Ident {
            self.error(format!("expected identifier, got {}", self.token.kind));
            return None;
        }
        let mut name = vec![self.take_ident()];
        while self.token.kind == TokenKind::Dot {
            self.advance();
            if self.token.kind != TokenKind::Ident {
                self.error(format!("expected identifier, got {}", self.token.kind));
            }
            name.push(self.take_ident());
        }
        let mut header = Header { name, label: None, has_label: None };
        if !matches!(self.token.kind, TokenKind::Assign | TokenKind::LeftCurly) {
            self.parse_label(&mut header);
            self.advance();
        }
        Some(header)
    }

    fn parse_label(&mut self, header: &mut Header) {
        if self.token.kind != TokenKind::String {
            self.error(format!("expected block label, got {}", self.token.kind));
            return;
        }
        let text = self.token.text.clone();
        let span = self.token_span();
        if !text.starts_with('"') {
            let quoted = quote(&text);
            self.error(format!("expected block label to be a double quoted string, but got {quoted}"));
        }
        header.has_label = Some(span);
        if text.len() > 2 {
            // A string that was not terminated may have no closing quote: the scanner reported it.
            let label = text.get(1..text.len() - 1).unwrap_or_default();
            if !is_valid_identifier(label) {
                let quoted = quote(label);
                self.error(format!("expected block label to be a valid identifier, but got {quoted}"));
            }
            header.label = Some(Label { text: label.to_owned(), span });
        }
    }

    fn take_ident(&mut self) -> Ident {
        let ident = Ident { name: std::mem::take(&mut self.token.text), span: self.token_span() };
        self.advance();
        ident
    }

    fn token_span(&self) -> Span {
        Span::new(self.token.start, self.token.end)
    }

    /// Goes to the next word that is no comment.
    fn advance(&mut self) {
        self.previous_end = self.token.end;
        self.read_token();
        while self.token.kind == TokenKind::Comment {
            self.take_comments();
        }
    }

    fn read_token(&mut self) {
        self.token = self.scanner.next_token();
        for error in self.scanner.take_errors() {
            if !self.too_deep {
                let span = Span::new(error.position, error.position);
                self.diagnostics.push(Diagnostic::error(&self.file, span, error.message));
            }
        }
    }

    fn take_comments(&mut self) {
        let mut group = CommentGroup::new();
        let mut end_line = self.token.start.line;
        while self.token.kind == TokenKind::Comment && self.token.start.line <= end_line + 1 {
            end_line = self.token.end.line;
            group.push(Comment { text: std::mem::take(&mut self.token.text), span: self.token_span() });
            self.read_token();
        }
        self.comments.push(group);
    }

    /// Goes on over one word, which should be a `kind`; whether it was.
    fn expect(&mut self, kind: TokenKind) -> bool {
        let found = self.token.kind == kind;
        if !found {
            self.error(format!("expected {kind}, got {}", self.token.kind));
        }
        self.advance();
        found
    }

    fn skip_to(&mut self, kind: TokenKind) {
        while self.token.kind != TokenKind::Eof && self.token.kind != kind {
            self.advance();
        }
    }

    /// Goes to the terminator that ends the statement, over whatever braces are opened on the way.
    fn skip_statement(&mut self) {
        let (mut curly, mut bracket, mut paren) = (0_i64, 0_i64, 0_i64);
        while self.token.kind != TokenKind::Eof {
            match self.token.kind {
                TokenKind::LeftCurly => curly += 1,
                TokenKind::RightCurly => curly -= 1,
                TokenKind::LeftBracket => bracket += 1,
                TokenKind::RightBracket => bracket -= 1,
                TokenKind::LeftParen => paren += 1,
                TokenKind::RightParen => paren -= 1,
                TokenKind::Terminator if curly <= 0 && bracket <= 0 && paren <= 0 => return,
                _ => {}
            }
            self.advance();
        }
    }

    /// Reports at the current word, unless something was already reported on its line.
    fn error(&mut self, message: impl Into<String>) {
        let line = self.token.start.line;
        if self.last_error_line == Some(line) {
            return;
        }
        self.last_error_line = Some(line);
        self.report(self.token_span(), message);
    }

    fn report(&mut self, span: Span, message: impl Into<String>) {
        if !self.too_deep {
            self.diagnostics.push(Diagnostic::error(&self.file, span, message));
        }
    }

    /// One level deeper; `false`, and the rest of the text is skipped, where that is too deep.
    fn enter(&mut self) -> bool {
        if self.depth >= MAX_DEPTH {
            self.report_too_deep();
            return false;
        }
        self.depth += 1;
        true
    }

    fn leave(&mut self) {
        self.depth -= 1;
    }

    fn report_too_deep(&mut self) {
        let message = format!("nested too deeply: more than {MAX_DEPTH} levels; split it up");
        self.report(self.token_span(), message);
        self.too_deep = true;
        self.skip_to(TokenKind::Eof);
    }
}
