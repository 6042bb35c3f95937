//! What stands between `%` and the verb.

use crate::value::Value;
use crate::value::number::Number;

/// The flags, width and precision of a verb.
#[derive(Debug, Clone, Default)]
pub(super) struct Spec {
    pub(super) minus: bool,
    pub(super) plus: bool,
    pub(super) sharp: bool,
    /// `%#v`, for which `#` means something else.
    pub(super) sharp_v: bool,
    /// `%+v`, for which `+` means something else.
    pub(super) plus_v: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) width: usize,
    pub(super) precision: Option<usize>,
}

impl Spec {
    /// Fills up to the width, with zeros in front if the flag says so.
    pub(super) fn pad(&self, text: &str) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        let fill = if self.zero && !self.minus { "0" } else { " " }.repeat(missing);
        if self.minus { format!("{text}{fill}") } else { format!("{fill}{text}") }
    }

    /// Fills with spaces alone.
    pub(super) fn pad_spaces(&self, text: &str) -> String {
        Self { zero: false, ..self.clone() }.pad(text)
    }
}

/// What was read behind a `%`.
pub(super) struct Parsed<'f> {
    pub(super) spec: Spec,
    /// `None` at the end of the text.
    pub(super) verb: Option<char>,
    pub(super) rest: &'f str,
    /// What is to be said about a bad width or precision.
    pub(super) problem: &'static str,
    /// Whether an index like `[2]` was there.
    pub(super) reordered: bool,
    pub(super) bad_index: bool,
}

/// The widest that is filled up to: as much as Rust's own formatting takes.
const WIDEST: usize = 65_535;

/// Reads flags, width, precision and verb; `*` takes its number from the values.
pub(super) fn parse_spec<'f>(format: &'f str, values: &[&Value], next: &mut usize) -> Parsed<'f> {
    let mut parsed =
        Parsed { spec: Spec::default(), verb: None, rest: format, problem: "", reordered: false, bad_index: false };
    parsed.flags();
    parsed.index(values.len(), next);
    if let Some(rest) = parsed.rest.strip_prefix('*') {
        parsed.rest = rest;
        match star(values, next) {
            Some(width) => {
                parsed.spec.minus |= width < 0;
                parsed.spec.width = usize::try_from(width.unsigned_abs()).unwrap_or(0);
            }
            None => parsed.problem = "%!(BADWIDTH)",
        }
    } else {
        parsed.spec.width = parsed.number().unwrap_or(0);
    }
    if let Some(rest) = parsed.rest.strip_prefix('.') {
        parsed.rest = rest;
        parsed.index(values.len(), next);
        if let Some(rest) = parsed.rest.strip_prefix('*') {
            parsed.rest = rest;
            let precision = star(values, next);
            if precision.is_none_or(|precision| precision < 0) {
                parsed.problem = "%!(BADPREC)";
            }
            parsed.spec.precision = precision.and_then(|precision| usize::try_from(precision).ok());
        } else {
            parsed.spec.precision = Some(parsed.number().unwrap_or(0));
        }
    }
    parsed.index(values.len(), next);
    let mut chars = parsed.rest.chars();
    parsed.verb = chars.next();
    if parsed.verb == Some('v') {
        parsed.spec.sharp_v = std::mem::take(&mut parsed.spec.sharp);
        parsed.spec.plus_v = std::mem::take(&mut parsed.spec.plus);
    }
    parsed.rest = chars.as_str();
    parsed
}

impl Parsed<'_> {
    fn flags(&mut self) {
        loop {
            let flag = match self.rest.bytes().next() {
                Some(b'-') => &mut self.spec.minus,
                Some(b'+') => &mut self.spec.plus,
                Some(b'#') => &mut self.spec.sharp,
                Some(b' ') => &mut self.spec.space,
                Some(b'0') => &mut self.spec.zero,
                _ => return,
            };
            *flag = true;
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
    }

    fn number(&mut self) -> Option<usize> {
        let end = self.rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        let number = digits.parse().ok().filter(|&number| number <= WIDEST);
        self.rest = rest;
        number
    }

    /// `[n]`: the value to take, from 1.
    fn index(&mut self, count: usize, next: &mut usize) {
        let Some((inside, rest)) = self.rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) else {
            return;
        };
        self.reordered = true;
        self.rest = rest;
        match inside.parse::<usize>() {
            Ok(index) if (1..=count).contains(&index) => *next = index - 1,
            _ => self.bad_index = true,
        }
    }
}

fn star(values: &[&Value], next: &mut usize) -> Option<i64> {
    let value = values.get(*next)?;
    *next += 1;
    match Number::of(value)? {
        Number::Int(number) if number.unsigned_abs() <= WIDEST as u64 => Some(number),
        _ => None,
    }
}
