//! `[…]`. Unlike in Rust's patterns `[`, `&&`, `--` and `~~` mean nothing inside.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange};

use super::escape::fold;
use super::{Parser, consumed};
use crate::go_regex::class;
use crate::go_regex::error::{GoRegexError, SyntaxError};

impl Parser<'_> {
    pub(super) fn brackets(&mut self) -> Result<(), GoRegexError> {
        let whole = self.rest;
        self.skip('[');
        let negated = self.rest.starts_with('^');
        if negated {
            self.skip('^');
        }
        let mut ranges: Vec<ClassUnicodeRange> = Vec::new();
        // A `]` is a member when it comes first.
        let mut first = true;
        while first || !self.rest.starts_with(']') {
            first = false;
            if let Some(class) = self.posix_class()? {
                ranges.extend(class.iter());
            } else if let Some(class) = self.class_escape_in_brackets()? {
                ranges.extend(class.iter());
            } else {
                let (low, high) = self.range(whole)?;
                ranges.extend(class::code_points(low, high));
                self.count_ranges(1)?;
            }
        }
        self.skip(']');
        let mut class = ClassUnicode::new(ranges);
        if self.flags.fold_case {
            fold(&mut class);
        }
        if negated {
            class.negate();
        }
        self.push_class(class)
    }

    /// `[:alpha:]`, `[:^alpha:]`.
    fn posix_class(&mut self) -> Result<Option<ClassUnicode>, GoRegexError> {
        let Some((name, rest)) = self.rest.strip_prefix("[:").and_then(|after| after.split_once(":]")) else {
            return Ok(None);
        };
        let unsigned = name.strip_prefix('^');
        let class = class::posix(unsigned.unwrap_or(name))
            .ok_or_else(|| SyntaxError::CharacterRange.at(consumed(self.rest, rest)))?;
        self.rest = rest;
        self.signed(class, unsigned.is_some()).map(Some)
    }

    fn class_escape_in_brackets(&mut self) -> Result<Option<ClassUnicode>, GoRegexError> {
        if self.rest.starts_with('\\') { self.class_escape() } else { Ok(None) }
    }

    fn range(&mut self, whole: &str) -> Result<(u32, u32), GoRegexError> {
        let start = self.rest;
        let low = self.member(whole)?;
        // `[a-]` is an `a` and a `-`.
        let upper = self.rest.strip_prefix('-').filter(|upper| !upper.is_empty() && !upper.starts_with(']'));
        let Some(upper) = upper else { return Ok((low, low)) };
        self.rest = upper;
        let high = self.member(whole)?;
        if high < low {
            return Err(SyntaxError::CharacterRange.at(consumed(start, self.rest)));
        }
        Ok((low, high))
    }

    fn member(&mut self, whole: &str) -> Result<u32, GoRegexError> {
        let Some(c) = self.rest.chars().next() else {
            return Err(SyntaxError::MissingBracket.at(whole));
        };
        if c == '\\' {
            return self.character_escape();
        }
        self.skip(c);
        Ok(c.into())
    }
}
