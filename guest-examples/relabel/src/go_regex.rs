//! Go's regular expressions (RE2 syntax) on the engine of the `regex` crate.
//!
//! Configurations are written for Go, so syntax, classes, flags and error texts are Go's; only matching is
//! someone else's work. A pattern is parsed here, straight into the engine's own representation: a translation to
//! the syntax of `regex` could not say everything (`\B` on ASCII words, for one).

mod class;
mod error;
mod parser;
mod template;

use regex_automata::Input;
use regex_automata::meta;
use regex_automata::util::primitives::NonMaxUsize;
use regex_syntax::hir::{Hir, HirKind, Look};
use smallvec::{SmallVec, smallvec};

pub use error::{GoRegexError, SyntaxError};
pub use template::Template;

/// The longest pattern that is accepted, in bytes.
pub const MAX_PATTERN_LEN: usize = 64 << 10;

/// The largest compiled program of one pattern, in bytes. Go allows 128 MiB; a filter's whole memory is 64 MiB, and
/// the engine compiles most patterns twice (forwards and backwards).
pub const MAX_PROGRAM_SIZE: usize = 4 << 20;

/// What the lazily built automaton of one pattern may hold, in bytes. When it is full it starts again, and when that
/// happens too often slower engines take over: label values are short.
const AUTOMATON_CACHE_SIZE: usize = 128 << 10;

/// A pattern of a rule, compiled as `^(?s:PATTERN)$`.
#[derive(Debug, Clone)]
pub struct GoRegex {
    matcher: Matcher,
    group_names: Box<[Option<Box<str>>]>,
}

/// The two shapes that most rules have need no automaton: no time to build it and no memory to keep it.
#[derive(Debug, Clone)]
enum Matcher {
    /// `(.*)`, `.*`: all groups are the whole text.
    Everything,
    /// A pattern without operators.
    Exactly(Box<str>),
    Automaton(meta::Regex),
}

/// Where a pattern and its groups matched.
#[derive(Debug)]
pub struct Groups<'t> {
    text: &'t str,
    slots: Slots,
}

/// Start and end of each group; without allocation for up to eight groups.
type Slots = SmallVec<[Option<NonMaxUsize>; 16]>;

impl GoRegex {
    /// Compiles `^(?s:pattern)$`, as every relabelling rule does.
    ///
    /// # Errors
    /// Go's own syntax errors in Go's words (they may quote the wrapped pattern, as Go does), and our limits:
    /// [`MAX_PATTERN_LEN`], [`MAX_PROGRAM_SIZE`], 250 levels of nesting.
    pub fn compile(pattern: &str) -> Result<Self, GoRegexError> {
        let parsed = parse_wrapped(pattern)?;
        let matcher = match Matcher::without_automaton(&parsed.hir) {
            Some(matcher) => matcher,
            None => Matcher::Automaton(automaton(&parsed.hir)?),
        };
        Ok(Self { matcher, group_names: parsed.group_names.into() })
    }

    /// Checks the syntax only: for actions that do not use their pattern.
    ///
    /// # Errors
    /// As [`GoRegex::compile`], less [`GoRegexError::ProgramTooLarge`].
    pub fn check_syntax(pattern: &str) -> Result<(), GoRegexError> {
        parse_wrapped(pattern).map(drop)
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn is_match(&self, text: &str) -> bool {
        match &self.matcher {
            Matcher::Everything => true,
            Matcher::Exactly(literal) => **literal == *text,
            Matcher::Automaton(regex) => regex.is_match(text),
        }
    }

    /// The groups of the first match in `text`.
    #[must_use]
    pub fn captures<'t>(&self, text: &'t str) -> Option<Groups<'t>> {
        let mut slots: Slots = smallvec![None; 2 * self.group_names.len()];
        match &self.matcher {
            Matcher::Everything => {
                for (slot, offset) in slots.iter_mut().zip([0, text.len()].into_iter().cycle()) {
                    *slot = NonMaxUsize::new(offset);
                }
            }
            Matcher::Exactly(literal) if **literal == *text => {
                for (slot, offset) in slots.iter_mut().zip([0, text.len()]) {
                    *slot = NonMaxUsize::new(offset);
                }
            }
            Matcher::Exactly(_) => return None,
            Matcher::Automaton(regex) => {
                regex.search_slots(&Input::new(text), &mut slots)?;
            }
        }
        Some(Groups { text, slots })
    }

    /// `text` with every match replaced by what `template` expands to. `None` when nothing matched.
    ///
    /// There is more than one match only for patterns that break out of their anchors, such as `a)|(?:b`.
    #[must_use]
    pub fn replace_all(&self, text: &str, template: &Template) -> Option<String> {
        let Matcher::Automaton(regex) = &self.matcher else {
            return self.captures(text).map(|groups| template.expand(&groups));
        };
        let mut replaced = String::new();
        let mut end_of_last = None;
        for captures in regex.captures_iter(text) {
            let Some(whole) = captures.get_match() else { continue };
            replaced.push_str(text.get(end_of_last.unwrap_or(0)..whole.start()).unwrap_or_default());
            template.expand_onto(&Groups { text, slots: SmallVec::from_slice(captures.slots()) }, &mut replaced);
            end_of_last = Some(whole.end());
        }
        replaced.push_str(text.get(end_of_last?..).unwrap_or_default());
        Some(replaced)
    }

    /// What the pattern takes of memory while it works, at most, in bytes.
    #[must_use]
    pub fn memory_usage(&self) -> usize {
        match &self.matcher {
            Matcher::Everything => 0,
            Matcher::Exactly(literal) => literal.len(),
            // One automaton reads forwards, one backwards.
            Matcher::Automaton(regex) => regex.memory_usage() + 2 * AUTOMATON_CACHE_SIZE,
        }
    }

    /// The number of groups, group 0 (the whole match) included.
    #[must_use]
    pub fn group_count(&self) -> usize {
        self.group_names.len()
    }
}

impl Groups<'_> {
    /// What group `index` matched; `None` when it took no part, or when there is no such group.
    #[must_use]
    pub fn group(&self, index: usize) -> Option<&str> {
        let start = (*self.slots.get(2 * index)?)?;
        let end = (*self.slots.get(2 * index + 1)?)?;
        self.text.get(start.get()..end.get())
    }
}

fn parse_wrapped(pattern: &str) -> Result<parser::Parsed, GoRegexError> {
    if pattern.len() > MAX_PATTERN_LEN {
        return Err(GoRegexError::PatternTooLong { length: pattern.len() });
    }
    // Go puts the pattern between these as text. An unbalanced pattern can therefore close the group, and does so in
    // Go as well.
    parser::parse(&format!("^(?s:{pattern})$"))
}

fn automaton(hir: &Hir) -> Result<meta::Regex, GoRegexError> {
    let config = meta::Config::new().nfa_size_limit(Some(MAX_PROGRAM_SIZE)).hybrid_cache_capacity(AUTOMATON_CACHE_SIZE);
    meta::Builder::new().configure(config).build_from_hir(hir).map_err(|error| match error.size_limit() {
        Some(_) => GoRegexError::ProgramTooLarge,
        None => GoRegexError::Engine(error.to_string()),
    })
}

impl Matcher {
    fn without_automaton(hir: &Hir) -> Option<Self> {
        let HirKind::Concat(parts) = hir.kind() else { return None };
        let (first, rest) = parts.split_first()?;
        let (last, middle) = rest.split_last()?;
        if !matches!((first.kind(), last.kind()), (HirKind::Look(Look::Start), HirKind::Look(Look::End))) {
            return None;
        }
        match middle {
            [] => Some(Self::Exactly("".into())),
            [only] => match only.kind() {
                HirKind::Literal(literal) => Some(Self::Exactly(str::from_utf8(&literal.0).ok()?.into())),
                HirKind::Capture(capture) if matches_everything(&capture.sub) => Some(Self::Everything),
                _ if matches_everything(only) => Some(Self::Everything),
                _ => None,
            },
            _ => None,
        }
    }
}

fn matches_everything(hir: &Hir) -> bool {
    let HirKind::Repetition(repetition) = hir.kind() else { return false };
    repetition.min == 0 && repetition.max.is_none() && *repetition.sub == Hir::dot(regex_syntax::hir::Dot::AnyChar)
}
