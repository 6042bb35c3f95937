//! Integers.

use super::verb::Spec;
use crate::quote::{is_printable, quote_char};

/// `None` if the verb is none for integers.
pub(super) fn print(negative: bool, number: u64, verb: char, spec: &Spec) -> Option<String> {
    let (digits, prefix) = match verb {
        'd' | 'v' => (number.to_string(), ""),
        'b' => (format!("{number:b}"), "0b"),
        'o' => (format!("{number:o}"), "0"),
        'O' => (format!("{number:o}"), "0o"),
        'x' => (format!("{number:x}"), "0x"),
        'X' => (format!("{number:X}"), "0X"),
        'c' => return Some(spec.pad(&character(negative, number).to_string())),
        'q' => return Some(spec.pad(&quote_char(character(negative, number)))),
        'U' => return Some(spec.pad_spaces(&code_point(number, spec))),
        _ => return None,
    };
    let prefix = if verb == 'O' || (spec.sharp && verb != 'd' && verb != 'v') { prefix } else { "" };
    let sign = match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (false, true, _) => "+",
        (false, false, true) => " ",
        (false, false, false) => "",
    };
    if spec.precision == Some(0) && number == 0 {
        return Some(spec.pad_spaces(""));
    }
    let least = match spec.precision {
        Some(precision) => precision,
        None if spec.zero && !spec.minus => spec.width.saturating_sub(sign.len()),
        None => 0,
    };
    let zeros = "0".repeat(least.saturating_sub(digits.len()));
    // An octal that starts with a zero needs no prefix.
    let prefix = if prefix == "0" && (!zeros.is_empty() || digits.starts_with('0')) { "" } else { prefix };
    Some(spec.pad_spaces(&format!("{sign}{prefix}{zeros}{digits}")))
}

fn character(negative: bool, number: u64) -> char {
    let code = u32::try_from(number).ok().filter(|_| !negative);
    code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER)
}

fn code_point(number: u64, spec: &Spec) -> String {
    let digits = spec.precision.unwrap_or(4).max(4);
    let code = format!("U+{number:0digits$X}");
    match u32::try_from(number).ok().and_then(char::from_u32) {
        Some(c) if spec.sharp && is_printable(c) => format!("{code} '{c}'"),
        _ => code,
    }
}
