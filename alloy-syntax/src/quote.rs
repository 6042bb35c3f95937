//! Quotes text as Go's `%q` does, and takes the quotes off again.

/// `text` in double quotes, with escapes for what cannot be seen.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        push_escaped(&mut quoted, c, '"');
    }
    quoted.push('"');
    quoted
}

/// As [`quote`], for bytes that need not be UTF-8: what is none is written as `\xHH`.
pub(crate) fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::with_capacity(bytes.len() + 2);
    quoted.push('"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            push_escaped(&mut quoted, c, '"');
        }
        for byte in chunk.invalid() {
            quoted.push_str(&format!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

/// A character in single quotes.
pub(crate) fn quote_char(c: char) -> String {
    let mut quoted = String::from("'");
    push_escaped(&mut quoted, c, '\'');
    quoted.push('\'');
    quoted
}

fn push_escaped(quoted: &mut String, c: char, quote: char) {
    match c {
        _ if c == quote || c == '\\' => quoted.extend(['\\', c]),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        _ if is_printable(c) => quoted.push(c),
        _ => match u32::from(c) {
            number @ (0..0x20 | 0x7f) => quoted.push_str(&format!("\\x{number:02x}")),
            number @ 0..0x1_0000 => quoted.push_str(&format!("\\u{number:04x}")),
            number => quoted.push_str(&format!("\\U{number:08x}")),
        },
    }
}

/// Whether a character leaves a mark on paper; of the spaces only U+0020 counts.
pub(crate) fn is_printable(c: char) -> bool {
    use unicode_properties::{GeneralCategoryGroup as Group, UnicodeGeneralCategory};
    if c.is_ascii() {
        return (' '..='~').contains(&c);
    }
    !matches!(c.general_category_group(), Group::Other | Group::Separator)
}

/// The bytes of a string literal without its quotes, its escapes resolved; `None` where it is malformed.
pub(crate) fn unquote(literal: &str) -> Option<Vec<u8>> {
    if let Some(raw) = literal.strip_prefix('`') {
        let raw = raw.strip_suffix('`')?;
        return Some(raw.bytes().filter(|&byte| byte != b'\r').collect());
    }
    let inner = literal.strip_prefix('"')?.strip_suffix('"')?;
    let mut bytes = Vec::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            push_unescaped(&mut bytes, &mut chars)?;
        } else {
            push_char(&mut bytes, c);
        }
    }
    Some(bytes)
}

fn push_unescaped(bytes: &mut Vec<u8>, chars: &mut std::str::Chars<'_>) -> Option<()> {
    match chars.next()? {
        'a' => bytes.push(0x07),
        'b' => bytes.push(0x08),
        'f' => bytes.push(0x0c),
        'n' => bytes.push(b'\n'),
        'r' => bytes.push(b'\r'),
        't' => bytes.push(b'\t'),
        'v' => bytes.push(0x0b),
        c @ ('\\' | '"') => push_char(bytes, c),
        first @ '0'..='7' => {
            let high = first.to_digit(8)?;
            let number = high * 64 + digits(chars, 2, 8)?;
            bytes.push(u8::try_from(number).ok()?);
        }
        'x' => bytes.push(u8::try_from(digits(chars, 2, 16)?).ok()?),
        'u' => push_char(bytes, char::from_u32(digits(chars, 4, 16)?)?),
        'U' => push_char(bytes, char::from_u32(digits(chars, 8, 16)?)?),
        _ => return None,
    }
    Some(())
}

fn digits(chars: &mut std::str::Chars<'_>, count: usize, base: u32) -> Option<u32> {
    let mut number: u32 = 0;
    for _ in 0..count {
        number = number.checked_mul(base)?.checked_add(chars.next()?.to_digit(base)?)?;
    }
    Some(number)
}

fn push_char(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
