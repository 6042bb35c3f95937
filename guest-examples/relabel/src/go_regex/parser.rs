//! Go's syntax, read in one pass as Go reads it, so that the first error is the same one.

mod brackets;
mod escape;
mod sequence;

use regex_syntax::hir::{Dot, Hir, Look};

use super::error::{GoRegexError, SyntaxError};
use sequence::{Node, Sequence};

/// A pattern in the engine's representation.
pub(super) struct Parsed {
    pub(super) hir: Hir,
    /// By group number; group 0 is the whole match. The engine itself is not told names: it wants them unique.
    pub(super) group_names: Vec<Option<Box<str>>>,
}

/// Reads a whole pattern.
pub(super) fn parse(pattern: &str) -> Result<Parsed, GoRegexError> {
    let mut parser = Parser {
        pattern,
        rest: pattern,
        flags: Flags::default(),
        outer: Vec::new(),
        innermost: Group::default(),
        group_names: vec![None],
        last_repeat: None,
        class_ranges: 0,
    };
    while let Some(next) = parser.rest.chars().next() {
        let before = parser.rest;
        let repeated = parser.read(next)?;
        parser.last_repeat = repeated.then_some(before);
    }
    if !parser.outer.is_empty() {
        return Err(SyntaxError::MissingParenthesis.at(pattern));
    }
    let hir = parser.innermost.close(pattern)?.hir;
    Ok(Parsed { hir, group_names: parser.group_names })
}

/// How many ranges the character classes of one pattern may have together: each `\pL` alone brings 650 of them.
const MAX_CLASS_RANGES: usize = 500_000;

struct Parser<'p> {
    pattern: &'p str,
    rest: &'p str,
    flags: Flags,
    outer: Vec<Group>,
    innermost: Group,
    group_names: Vec<Option<Box<str>>>,
    /// The text from the repetition operator that was just read.
    last_repeat: Option<&'p str>,
    class_ranges: usize,
}

#[derive(Clone, Copy, Default)]
struct Flags {
    fold_case: bool,
    multi_line: bool,
    dot_matches_newline: bool,
    ungreedy: bool,
}

/// A group that is still open, or the whole pattern.
#[derive(Default)]
struct Group {
    flags_outside: Flags,
    number: Option<u32>,
    alternatives: Vec<Node>,
    sequence: Sequence,
}

impl Group {
    fn end_alternative(&mut self, pattern: &str) -> Result<(), GoRegexError> {
        self.alternatives.push(std::mem::take(&mut self.sequence).into_node(pattern)?);
        Ok(())
    }

    fn close(mut self, pattern: &str) -> Result<Node, GoRegexError> {
        self.end_alternative(pattern)?;
        let node = Node::alternation(self.alternatives, pattern)?;
        match self.number {
            Some(number) => node.captured(number, pattern),
            None => Ok(node),
        }
    }
}

impl<'p> Parser<'p> {
    /// Reads one element; true when it was a repetition.
    fn read(&mut self, next: char) -> Result<bool, GoRegexError> {
        match next {
            '(' if self.rest.starts_with("(?") => self.perl_group()?,
            '(' => {
                self.skip('(');
                self.open_capture(None);
            }
            '|' => {
                self.skip('|');
                self.innermost.end_alternative(self.pattern)?;
            }
            ')' => self.close_group()?,
            '^' => self.look('^', if self.flags.multi_line { Look::StartLF } else { Look::Start }),
            '$' => self.look('$', if self.flags.multi_line { Look::EndLF } else { Look::End }),
            '.' => {
                self.skip('.');
                let dot = if self.flags.dot_matches_newline { Dot::AnyChar } else { Dot::AnyCharExceptLF };
                self.innermost.sequence.push(Node::leaf(Hir::dot(dot)));
            }
            '[' => self.brackets()?,
            '*' => return self.repeat("*", 0, None).map(|()| true),
            '+' => return self.repeat("+", 1, None).map(|()| true),
            '?' => return self.repeat("?", 0, Some(1)).map(|()| true),
            '{' => return self.counted_repeat(),
            '\\' => self.escape()?,
            literal => {
                self.skip(literal);
                self.literal(literal);
            }
        }
        Ok(false)
    }

    fn skip(&mut self, c: char) {
        self.rest = self.rest.strip_prefix(c).unwrap_or(self.rest);
    }

    fn look(&mut self, written: char, look: Look) {
        self.skip(written);
        self.innermost.sequence.push(Node::leaf(Hir::look(look)));
    }

    fn open_capture(&mut self, name: Option<&str>) {
        // Group numbers cannot overflow: a pattern is 64 KiB at most.
        let number = u32::try_from(self.group_names.len()).unwrap_or(u32::MAX);
        self.group_names.push(name.map(Box::from));
        self.open_group(Some(number));
    }

    fn open_group(&mut self, number: Option<u32>) {
        let group = Group { flags_outside: self.flags, number, ..Group::default() };
        self.outer.push(std::mem::replace(&mut self.innermost, group));
    }

    fn close_group(&mut self) -> Result<(), GoRegexError> {
        let Some(outer) = self.outer.pop() else {
            return Err(SyntaxError::UnexpectedParenthesis.at(self.pattern));
        };
        self.skip(')');
        let closed = std::mem::replace(&mut self.innermost, outer);
        self.flags = closed.flags_outside;
        let node = closed.close(self.pattern)?;
        self.innermost.sequence.push(node);
        Ok(())
    }

    /// `(?P<name>`, `(?<name>`, `(?flags)`, `(?flags:`.
    fn perl_group(&mut self) -> Result<(), GoRegexError> {
        let start = self.rest;
        let named = start.strip_prefix("(?P<").or_else(|| start.strip_prefix("(?<"));
        // Go looks for a name only when something follows the `<`.
        if let Some(named) = named.filter(|named| !named.is_empty()) {
            let Some((name, rest)) = named.split_once('>') else {
                return Err(SyntaxError::NamedCapture.at(start));
            };
            if name.is_empty() || !name.bytes().all(|b| b == b'_' || b.is_ascii_alphanumeric()) {
                return Err(SyntaxError::NamedCapture.at(consumed(start, rest)));
            }
            self.rest = rest;
            self.open_capture(Some(name));
            return Ok(());
        }

        let mut flags = self.flags;
        let mut value = true;
        let mut any_since_minus = true;
        let mut rest = start.strip_prefix("(?").unwrap_or_default().chars();
        while let Some(c) = rest.next() {
            let flag = match c {
                'i' => &mut flags.fold_case,
                'm' => &mut flags.multi_line,
                's' => &mut flags.dot_matches_newline,
                'U' => &mut flags.ungreedy,
                '-' if value => {
                    value = false;
                    any_since_minus = false;
                    continue;
                }
                ':' | ')' if any_since_minus => {
                    self.rest = rest.as_str();
                    if c == ':' {
                        self.open_group(None);
                    }
                    self.flags = flags;
                    return Ok(());
                }
                _ => break,
            };
            *flag = value;
            any_since_minus = true;
        }
        Err(SyntaxError::PerlOperator.at(consumed(start, rest.as_str())))
    }

    /// `{2}`, `{2,}`, `{2,3}`; any other `{` is a literal.
    fn counted_repeat(&mut self) -> Result<bool, GoRegexError> {
        let Some((operator, min, max)) = braces(self.rest) else {
            self.skip('{');
            self.literal('{');
            return Ok(false);
        };
        let too_many = |count: u32| count > sequence::MAX_COPIES;
        if too_many(min) || max.is_some_and(|max| too_many(max) || min > max) {
            return Err(SyntaxError::RepeatCount.at(operator));
        }
        self.repeat(operator, min, max)?;
        Ok(true)
    }

    fn repeat(&mut self, operator: &'p str, min: u32, max: Option<u32>) -> Result<(), GoRegexError> {
        let before = self.rest;
        let mut rest = before.strip_prefix(operator).unwrap_or_default();
        let mut greedy = !self.flags.ungreedy;
        if let Some(after) = rest.strip_prefix('?') {
            rest = after;
            greedy = !greedy;
        }
        if let Some(last) = self.last_repeat {
            return Err(SyntaxError::NestedRepetition.at(consumed(last, rest)));
        }
        let Some(repeated) = self.innermost.sequence.pop() else {
            return Err(SyntaxError::MissingRepeatArgument.at(consumed(before, rest)));
        };
        let node = repeated.repeated(min, max, greedy, self.pattern)?;
        // `*`, `+` and `?` make no copies; Go counts those of `{}` alone.
        let node = if operator.starts_with('{') {
            node.with_copies(max.unwrap_or(min)).ok_or_else(|| SyntaxError::RepeatCount.at(consumed(before, rest)))?
        } else {
            node
        };
        self.innermost.sequence.push(node);
        self.rest = rest;
        Ok(())
    }

    fn count_ranges(&mut self, ranges: usize) -> Result<(), GoRegexError> {
        self.class_ranges = self.class_ranges.saturating_add(ranges);
        if self.class_ranges > MAX_CLASS_RANGES { Err(SyntaxError::TooLarge.at(self.pattern)) } else { Ok(()) }
    }
}

/// The part of `start` that comes before its own end `rest`.
fn consumed<'p>(start: &'p str, rest: &str) -> &'p str {
    start.len().checked_sub(rest.len()).and_then(|length| start.get(..length)).unwrap_or(start)
}

/// The operator at the beginning of `text` with its least and greatest count; `None` when it is none.
fn braces(text: &str) -> Option<(&str, u32, Option<u32>)> {
    let (min, rest) = count(text.strip_prefix('{')?)?;
    let (max, rest) = match rest.strip_prefix(',') {
        None => (Some(min), rest),
        Some(rest) if rest.starts_with('}') => (None, rest),
        Some(rest) => count(rest).map(|(max, rest)| (Some(max), rest))?,
    };
    Some((consumed(text, rest.strip_prefix('}')?), min, max))
}

/// A decimal number without leading zeros; one that is too large is `u32::MAX`.
fn count(text: &str) -> Option<(u32, &str)> {
    let (digits, rest) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    if digits.is_empty() || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((digits.parse().unwrap_or(u32::MAX), rest))
}
