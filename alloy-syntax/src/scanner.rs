//! Cuts a text into words.

use crate::identifier::{is_digit, is_letter};
use crate::position::Position;
use crate::token::{Token, TokenKind};

mod text;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// What the scanner objects to, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanError {
    /// The place.
    pub position: Position,
    /// What is wrong there.
    pub message: String,
}

/// Cuts a text into [`Token`]s, comments included.
///
/// A terminator is put in at a line's end (and at the end of the text) behind a word that may end a
/// statement. The scanner goes on after an error; what it found wrong is taken with
/// [`take_errors`](Self::take_errors).
#[derive(Debug)]
pub struct Scanner<'a> {
    source: &'a [u8],
    /// The character at `position`; `None` at the end.
    current: Option<char>,
    position: Position,
    /// Where the character behind `current` starts.
    next_offset: usize,
    /// Whether the last word may end a statement.
    terminator_due: bool,
    errors: Vec<ScanError>,
}

impl<'a> Scanner<'a> {
    /// A scanner at the start of `source`, which should be UTF-8: it reports where it is not.
    pub fn new(source: &'a [u8]) -> Self {
        let mut scanner = Self {
            source,
            current: None,
            position: Position::START,
            next_offset: 0,
            terminator_due: false,
            errors: Vec::new(),
        };
        scanner.read_current();
        if scanner.current == Some(BYTE_ORDER_MARK) {
            scanner.advance();
        }
        scanner
    }

    /// What was found wrong since the last call.
    pub fn take_errors(&mut self) -> Vec<ScanError> {
        std::mem::take(&mut self.errors)
    }

    /// The next word; [`TokenKind::Eof`] again and again at the end.
    pub fn next_token(&mut self) -> Token {
        self.skip_whitespace();
        let start = self.position;
        let Some(first) = self.current else {
            let kind = if self.terminator_due { TokenKind::Terminator } else { TokenKind::Eof };
            self.terminator_due = false;
            return self.token(kind, start);
        };

        let kind = if is_letter(first) {
            self.scan_identifier()
        } else if first.is_ascii_digit() || (first == '.' && self.peek().is_ascii_digit()) {
            self.scan_number()
        } else if self.terminator_due && first == '/' && self.comment_ends_line() {
            // The statement ends before the comment, so that the comment belongs to none.
            self.terminator_due = false;
            return Token { kind: TokenKind::Terminator, start, end: start, text: "\n".to_owned() };
        } else {
            self.advance();
            self.scan_symbol(first, start)
        };

        // An illegal character changes nothing about the word before it.
        let transparent = kind == TokenKind::Illegal && first != '\'';
        if !transparent {
            self.terminator_due = kind.ends_statement() || kind == TokenKind::Illegal;
        }
        self.token(kind, start)
    }

    fn scan_symbol(&mut self, first: char, start: Position) -> TokenKind {
        match first {
            '\n' => {
                self.terminator_due = false;
                TokenKind::Terminator
            }
            '"' => self.scan_string(first, start),
            '`' => self.scan_string(first, start),
            '\'' => {
                self.error(start, "illegal single-quoted string; use double quotes");
                self.scan_string(first, start);
                TokenKind::Illegal
            }
            '/' if matches!(self.current, Some('/' | '*')) => self.scan_comment(start),
            '|' => self.scan_pair('|', TokenKind::Or),
            '&' => self.scan_pair('&', TokenKind::And),
            '!' => self.with_equals(TokenKind::Not, TokenKind::NotEqual),
            '=' => self.with_equals(TokenKind::Assign, TokenKind::Equal),
            '<' => self.with_equals(TokenKind::Less, TokenKind::LessOrEqual),
            '>' => self.with_equals(TokenKind::Greater, TokenKind::GreaterOrEqual),
            '+' => TokenKind::Add,
            '-' => TokenKind::Sub,
            '*' => TokenKind::Mul,
            '/' => TokenKind::Div,
            '%' => TokenKind::Mod,
            '^' => TokenKind::Pow,
            '{' => TokenKind::LeftCurly,
            '}' => TokenKind::RightCurly,
            '(' => TokenKind::LeftParen,
            ')' => TokenKind::RightParen,
            '[' => TokenKind::LeftBracket,
            ']' => TokenKind::RightBracket,
            ',' => TokenKind::Comma,
            '.' => TokenKind::Dot,
            other => {
                // A byte order mark was reported when it was read.
                if other != BYTE_ORDER_MARK {
                    self.error(start, format!("illegal character {}", describe(other)));
                }
                TokenKind::Illegal
            }
        }
    }

    fn scan_identifier(&mut self) -> TokenKind {
        let start = self.position.offset;
        while self.current.is_some_and(|c| is_letter(c) || is_digit(c)) {
            self.advance();
        }
        match self.source.get(start..self.position.offset) {
            Some(b"null") => TokenKind::Null,
            Some(b"true" | b"false") => TokenKind::Bool,
            _ => TokenKind::Ident,
        }
    }

    fn scan_number(&mut self) -> TokenKind {
        let start = self.position;
        let mut kind = TokenKind::Number;
        self.skip_digits();
        if self.current == Some('.') {
            kind = TokenKind::Float;
            self.advance();
            self.skip_digits();
        }
        if matches!(self.current, Some('e' | 'E')) {
            kind = TokenKind::Float;
            self.advance();
            if matches!(self.current, Some('+' | '-')) {
                self.advance();
            }
            if !self.skip_digits() {
                self.error(start, "exponent has no digits");
            }
        }
        kind
    }

    /// Whether there was a digit.
    fn skip_digits(&mut self) -> bool {
        let start = self.position.offset;
        while self.current.is_some_and(|c| c.is_ascii_digit()) {
            self.advance();
        }
        self.position.offset > start
    }

    fn scan_pair(&mut self, second: char, kind: TokenKind) -> TokenKind {
        if self.current == Some(second) {
            self.advance();
        } else {
            self.error(self.position, format!("missing second {second} in {kind}"));
        }
        kind
    }

    fn with_equals(&mut self, alone: TokenKind, with_equals: TokenKind) -> TokenKind {
        if self.current == Some('=') {
            self.advance();
            with_equals
        } else {
            alone
        }
    }

    fn skip_whitespace(&mut self) {
        while let Some(c) = self.current {
            match c {
                ' ' | '\t' | '\r' => self.advance(),
                '\n' if !self.terminator_due => self.advance(),
                _ => return,
            }
        }
    }

    fn token(&self, kind: TokenKind, start: Position) -> Token {
        let source = self.source.get(start.offset..self.position.offset).unwrap_or_default();
        let text = match kind {
            TokenKind::Terminator => "\n".to_owned(),
            TokenKind::Comment => text::comment_text(source),
            TokenKind::Ident
            | TokenKind::Null
            | TokenKind::Bool
            | TokenKind::Number
            | TokenKind::Float
            | TokenKind::String
            | TokenKind::Illegal => String::from_utf8_lossy(source).into_owned(),
            _ => String::new(),
        };
        Token { kind, start, end: self.position, text }
    }

    fn error(&mut self, position: Position, message: impl Into<String>) {
        self.errors.push(ScanError { position, message: message.into() });
    }

    /// The byte behind the current character; 0 at the end.
    fn peek(&self) -> u8 {
        self.source.get(self.next_offset).copied().unwrap_or(0)
    }

    fn advance(&mut self) {
        if self.current == Some('\n') {
            self.position = Position { line: self.position.line + 1, column: 1, offset: self.next_offset };
        } else {
            self.position.column += self.next_offset - self.position.offset;
            self.position.offset = self.next_offset;
        }
        self.read_current();
    }

    fn read_current(&mut self) {
        let rest = self.source.get(self.position.offset..).unwrap_or_default();
        let Some(&first) = rest.first() else {
            self.current = None;
            self.next_offset = self.position.offset;
            return;
        };
        if first == 0 {
            self.error(self.position, "illegal character NUL");
        }
        let (current, width) = text::decode_first(rest).unwrap_or_else(|| {
            self.error(self.position, "illegal UTF-8 encoding");
            (char::REPLACEMENT_CHARACTER, 1)
        });
        if current == BYTE_ORDER_MARK && self.position.offset > 0 {
            self.error(self.position, "illegal byte order mark");
        }
        self.current = Some(current);
        self.next_offset = self.position.offset + width;
    }
}

/// A character as error messages name it: its number, and itself where it can be seen.
pub(crate) fn describe(c: char) -> String {
    let number = u32::from(c);
    if crate::quote::is_printable(c) { format!("U+{number:04X} '{c}'") } else { format!("U+{number:04X}") }
}
