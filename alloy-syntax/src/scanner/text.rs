//! Strings and comments: the words that run over more than a few characters.

use super::{Scanner, describe};
use crate::position::Position;
use crate::token::TokenKind;

impl Scanner<'_> {
    /// The rest of a string behind its opening `quote`.
    pub(super) fn scan_string(&mut self, quote: char, start: Position) -> TokenKind {
        let raw = quote == '`';
        loop {
            match self.current {
                None => break self.error(start, "string literal not terminated"),
                Some('\n') if !raw => break self.error(start, "string literal not terminated"),
                Some(c) => {
                    self.advance();
                    if c == quote {
                        break;
                    }
                    if c == '\\' && !raw {
                        self.scan_escape();
                    }
                }
            }
        }
        TokenKind::String
    }

    /// Checks an escape behind its backslash; stops at a character that does not belong to it.
    fn scan_escape(&mut self) {
        let start = self.position;
        let (digits, base, largest) = match self.current {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\' | '"') => return self.advance(),
            Some('0'..='7') => (3, 8, 255),
            Some(kind @ ('x' | 'u' | 'U')) => {
                self.advance();
                match kind {
                    'x' => (2, 16, 255),
                    'u' => (4, 16, u32::from(char::MAX)),
                    _ => (8, 16, u32::from(char::MAX)),
                }
            }
            Some(_) => return self.error(start, "unknown escape sequence"),
            None => return self.error(start, "escape sequence not terminated"),
        };
        let mut number: u32 = 0;
        for _ in 0..digits {
            let Some(c) = self.current else {
                return self.error(start, "escape sequence not terminated");
            };
            let Some(digit) = c.to_digit(base) else {
                return self.error(start, format!("illegal character {} in escape sequence", describe(c)));
            };
            number = number.wrapping_mul(base).wrapping_add(digit);
            self.advance();
        }
        if number > largest || (0xd800..0xe000).contains(&number) {
            self.error(start, "escape sequence is invalid Unicode code point");
        }
    }

    /// The rest of a comment behind its first `/`.
    pub(super) fn scan_comment(&mut self, start: Position) -> TokenKind {
        let block = self.current == Some('*');
        self.advance();
        if !block {
            while self.current.is_some_and(|c| c != '\n') {
                self.advance();
            }
            return TokenKind::Comment;
        }
        while let Some(c) = self.current {
            self.advance();
            if c == '*' && self.current == Some('/') {
                self.advance();
                return TokenKind::Comment;
            }
        }
        self.error(start, "block comment not terminated");
        TokenKind::Comment
    }

    /// Whether, from a `/` on, nothing but comments is left on the line, or a comment goes beyond it.
    pub(super) fn comment_ends_line(&self) -> bool {
        let mut rest = self.source.get(self.position.offset..).unwrap_or_default();
        loop {
            match rest {
                [] | [b'\n', ..] | [b'/', b'/', ..] => return true,
                [b' ' | b'\t' | b'\r', tail @ ..] => rest = tail,
                [b'/', b'*', comment @ ..] => {
                    let Some(length) = comment.windows(2).position(|pair| pair == b"*/") else {
                        return true;
                    };
                    if comment.iter().take(length).any(|&byte| byte == b'\n') {
                        return true;
                    }
                    rest = comment.get(length + 2..).unwrap_or_default();
                }
                _ => return false,
            }
        }
    }
}

/// The first character and its length in bytes; `None` where the bytes are no UTF-8.
pub(super) fn decode_first(bytes: &[u8]) -> Option<(char, usize)> {
    (1..=4).find_map(|width| {
        let text = std::str::from_utf8(bytes.get(..width)?).ok()?;
        Some((text.chars().next()?, width))
    })
}

/// A comment without its carriage returns.
pub(super) fn comment_text(source: &[u8]) -> String {
    let text = String::from_utf8_lossy(source);
    let Some(stripped) = text.strip_prefix("/*") else {
        return text.replace('\r', "");
    };
    // `*\r/` must not become the comment's end.
    let mut kept = String::from("/*");
    let mut chars = stripped.chars().peekable();
    while let Some(c) = chars.next() {
        let splits_end = kept.len() > 2 && kept.ends_with('*') && chars.peek() == Some(&'/');
        if c != '\r' || splits_end {
            kept.push(c);
        }
    }
    kept
}
