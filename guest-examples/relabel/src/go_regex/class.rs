//! Sets of characters: Perl's, POSIX's and Unicode's, by name.

use regex_syntax::hir::{ClassUnicode, ClassUnicodeRange, HirKind};

/// `\d`, `\s`, `\w`: ASCII alone. `None` when `letter` names no class.
pub(super) fn perl(letter: char) -> Option<ClassUnicode> {
    match letter {
        'd' => Some(ascii(&[('0', '9')])),
        's' => Some(ascii(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')])),
        'w' => posix("word"),
        _ => None,
    }
}

/// `[:alpha:]` and its like, by the name between the colons.
pub(super) fn posix(name: &str) -> Option<ClassUnicode> {
    let ranges: &[(char, char)] = match name {
        "alnum" => &[('0', '9'), ('A', 'Z'), ('a', 'z')],
        "alpha" => &[('A', 'Z'), ('a', 'z')],
        "ascii" => &[('\0', '\x7f')],
        "blank" => &[('\t', '\t'), (' ', ' ')],
        "cntrl" => &[('\0', '\x1f'), ('\x7f', '\x7f')],
        "digit" => &[('0', '9')],
        "graph" => &[('!', '~')],
        "lower" => &[('a', 'z')],
        "print" => &[(' ', '~')],
        "punct" => &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')],
        "space" => &[('\t', '\r'), (' ', ' ')],
        "upper" => &[('A', 'Z')],
        "word" => &[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')],
        "xdigit" => &[('0', '9'), ('A', 'F'), ('a', 'f')],
        _ => return None,
    };
    Some(ascii(ranges))
}

/// `\p{name}`: a general category or a script, by any spelling that Go takes.
pub(super) fn unicode(name: &str) -> Option<ClassUnicode> {
    if !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b' ')) {
        return None;
    }
    let canonical: String =
        name.chars().filter(|c| c.is_ascii_alphanumeric()).map(|c| c.to_ascii_lowercase()).collect();
    // The library takes `isgreek` and the four-letter codes of scripts (`grek`), Go does not.
    if canonical.is_empty() || canonical.starts_with("is") {
        return None;
    }
    let script_code = canonical.len() == 4 && !SCRIPTS_OF_FOUR_LETTERS.contains(&canonical.as_str());
    by_query(&format!(r"\p{{gc={canonical}}}"))
        .or_else(|| if script_code { None } else { by_query(&format!(r"\p{{sc={canonical}}}")) })
}

/// Whether Go counts `c` as a letter (L) or a decimal digit (Nd).
pub(super) fn is_letter_or_digit(c: char) -> bool {
    ["L", "Nd"]
        .iter()
        .filter_map(|name| unicode(name))
        .any(|class| class.iter().any(|range| (range.start()..=range.end()).contains(&c)))
}

/// The range of code points that are characters: surrogates, which Go's patterns may name, never match valid UTF-8.
pub(super) fn code_points(first: u32, last: u32) -> impl Iterator<Item = ClassUnicodeRange> {
    const SURROGATES: std::ops::RangeInclusive<u32> = 0xd800..=0xdfff;
    [(first, last.min(SURROGATES.start() - 1)), (first.max(SURROGATES.end() + 1), last)].into_iter().filter_map(
        |(first, last)| {
            if first > last {
                return None;
            }
            Some(ClassUnicodeRange::new(char::from_u32(first)?, char::from_u32(last)?))
        },
    )
}

const SCRIPTS_OF_FOUR_LETTERS: [&str; 9] = ["ahom", "cham", "kawi", "lisu", "miao", "modi", "newa", "thai", "toto"];

fn ascii(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(ranges.iter().map(|(first, last)| ClassUnicodeRange::new(*first, *last)))
}

fn by_query(query: &str) -> Option<ClassUnicode> {
    match regex_syntax::parse(query).ok()?.into_kind() {
        HirKind::Class(regex_syntax::hir::Class::Unicode(class)) => Some(class),
        // A set of one character.
        HirKind::Literal(literal) => {
            let c = str::from_utf8(&literal.0).ok()?.chars().next()?;
            Some(ClassUnicode::new([ClassUnicodeRange::new(c, c)]))
        }
        _ => None,
    }
}
