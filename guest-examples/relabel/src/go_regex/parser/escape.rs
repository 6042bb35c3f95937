//! Backslashes.

use regex_syntax::hir::{Class, ClassUnicode, Hir, Look};

use super::sequence::Node;
use super::{Parser, consumed};
use crate::go_regex::class;
use crate::go_regex::error::{GoRegexError, SyntaxError};

impl<'p> Parser<'p> {
    pub(super) fn escape(&mut self) -> Result<(), GoRegexError> {
        let start = self.rest;
        let mut after = start.chars();
        after.next();
        let look = match after.next() {
            Some('A') => Look::Start,
            Some('b') => Look::WordAscii,
            Some('B') => Look::WordAsciiNegate,
            Some('z') => Look::End,
            Some('C') => return Err(SyntaxError::Escape.at(consumed(start, after.as_str()))),
            Some('Q') => {
                let quoted = after.as_str();
                let (literal, rest) = quoted.split_once(r"\E").unwrap_or((quoted, ""));
                literal.chars().for_each(|c| self.literal(c));
                self.rest = rest;
                return Ok(());
            }
            _ => {
                if let Some(class) = self.class_escape()? {
                    self.push_class(class)?;
                } else if let Some(c) = char::from_u32(self.character_escape()?) {
                    self.literal(c);
                } else {
                    // A surrogate: no text has one.
                    self.innermost.sequence.push(Node::leaf(Hir::fail()));
                }
                return Ok(());
            }
        };
        self.rest = after.as_str();
        self.innermost.sequence.push(Node::leaf(Hir::look(look)));
        Ok(())
    }

    pub(super) fn literal(&mut self, c: char) {
        if self.flags.fold_case {
            let mut class = ClassUnicode::new(class::code_points(c.into(), c.into()));
            fold(&mut class);
            if class.literal().is_none() {
                self.innermost.sequence.push(Node::leaf(Hir::class(Class::Unicode(class))));
                return;
            }
        }
        self.innermost.sequence.push_literal(c);
    }

    pub(super) fn push_class(&mut self, class: ClassUnicode) -> Result<(), GoRegexError> {
        self.count_ranges(class.ranges().len())?;
        self.innermost.sequence.push(Node::leaf(Hir::class(Class::Unicode(class))));
        Ok(())
    }

    /// `\d`, `\pL`, `\P{Greek}` and the like, case folding applied. `None` leaves the text as it is.
    pub(super) fn class_escape(&mut self) -> Result<Option<ClassUnicode>, GoRegexError> {
        let start = self.rest;
        let mut after = start.chars();
        after.next();
        let Some(letter) = after.next() else { return Ok(None) };
        let mut negated = letter.is_ascii_uppercase();
        let named = match letter {
            'p' | 'P' => {
                let Some(first) = after.next() else { return Ok(None) };
                let in_braces = after.as_str().split_once('}');
                let (name, rest) = match (first, in_braces) {
                    ('{', Some(in_braces)) => in_braces,
                    ('{', None) => return Err(SyntaxError::CharacterRange.at(start)),
                    _ => (consumed(start.get(2..).unwrap_or_default(), after.as_str()), after.as_str()),
                };
                let unsigned = name.strip_prefix('^');
                negated ^= unsigned.is_some();
                let class = class::unicode(unsigned.unwrap_or(name))
                    .ok_or_else(|| SyntaxError::CharacterRange.at(consumed(start, rest)))?;
                self.rest = rest;
                class
            }
            _ => {
                let Some(class) = class::perl(letter.to_ascii_lowercase()) else { return Ok(None) };
                self.rest = after.as_str();
                class
            }
        };
        self.signed(named, negated).map(Some)
    }

    /// A named class as the flags and its sign want it. Folding comes first: `(?i)\W` has no `ſ`.
    pub(super) fn signed(&mut self, mut class: ClassUnicode, negated: bool) -> Result<ClassUnicode, GoRegexError> {
        self.count_ranges(class.ranges().len())?;
        if self.flags.fold_case {
            fold(&mut class);
        }
        if negated {
            class.negate();
        }
        Ok(class)
    }

    /// An escape for one code point, which may be a surrogate.
    pub(super) fn character_escape(&mut self) -> Result<u32, GoRegexError> {
        let start = self.rest;
        let mut after = start.chars();
        after.next();
        let Some(c) = after.next() else {
            return Err(SyntaxError::TrailingBackslash.at(""));
        };
        let code = match c {
            '0'..='7' => {
                let octal = after.as_str().bytes().take(2).take_while(|b| matches!(b, b'0'..=b'7'));
                let further: Vec<u8> = octal.collect();
                // A single digit but zero would be a reference to a group.
                if c != '0' && further.is_empty() {
                    None
                } else {
                    after = after.as_str().get(further.len()..).unwrap_or_default().chars();
                    let digit = u32::from(c) - u32::from('0');
                    Some(further.iter().fold(digit, |code, b| code * 8 + u32::from(b - b'0')))
                }
            }
            'x' => hexadecimal(&mut after),
            'a' => Some(0x07),
            'f' => Some(0x0c),
            'n' => Some(0x0a),
            'r' => Some(0x0d),
            't' => Some(0x09),
            'v' => Some(0x0b),
            c if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(c.into()),
            _ => None,
        };
        let Some(code) = code else {
            return Err(SyntaxError::Escape.at(consumed(start, after.as_str())));
        };
        self.rest = after.as_str();
        Ok(code)
    }
}

pub(super) fn fold(class: &mut ClassUnicode) {
    // It fails only where the tables were left out, and this crate's manifest asks for them.
    let _ = class.try_case_fold_simple();
}

/// What follows `\x`: two digits, or any number of them in braces. On an error `after` stands behind the culprit.
fn hexadecimal(after: &mut std::str::Chars<'_>) -> Option<u32> {
    let first = after.next()?;
    if first != '{' {
        let second = after.next()?;
        return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
    }
    let mut code = None;
    loop {
        let c = after.next()?;
        if c == '}' {
            return code;
        }
        let value = code.unwrap_or(0) * 16 + c.to_digit(16)?;
        if value > u32::from(char::MAX) {
            return None;
        }
        code = Some(value);
    }
}
