//! What may be a name.

use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

const KEYWORDS: [&str; 3] = ["true", "false", "null"];

/// Whether `text` may be used as a name: a letter or `_`, then letters and digits, and no keyword.
pub fn is_valid_identifier(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(is_letter) && chars.all(|c| is_letter(c) || is_digit(c)) && !KEYWORDS.contains(&text)
}

/// `text` with `_` in the place of every character that a name may not have, and before a digit at the
/// start; `None` where nothing can be made of it (it is empty or a keyword).
pub fn sanitize_identifier(text: &str) -> Option<String> {
    if KEYWORDS.contains(&text) {
        return None;
    }
    let first = text.chars().next()?;
    let mut sanitized = String::with_capacity(text.len() + 1);
    if is_digit(first) {
        sanitized.push('_');
    }
    sanitized.extend(text.chars().map(|c| if is_letter(c) || is_digit(c) { c } else { '_' }));
    Some(sanitized)
}

pub(crate) fn is_letter(c: char) -> bool {
    if c.is_ascii() {
        c.is_ascii_alphabetic() || c == '_'
    } else {
        c.general_category_group() == GeneralCategoryGroup::Letter
    }
}

pub(crate) fn is_digit(c: char) -> bool {
    if c.is_ascii() { c.is_ascii_digit() } else { c.general_category() == GeneralCategory::DecimalNumber }
}
