//! Letter case as Go has it: one character for one character. Rust's own mappings may give several (`ß` → `SS`) and
//! look at neighbours (`Σ` at the end of a word).

pub(super) fn lowercase(text: &str) -> String {
    map(text, |c| match c {
        'İ' => 'i',
        _ => only(c, c.to_lowercase()),
    })
}

pub(super) fn uppercase(text: &str) -> String {
    map(text, |c| match c {
        // Greek vowels with an iota below: their only single capital is the title-case letter.
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => offset(c, 8),
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => offset(c, 9),
        _ => only(c, c.to_uppercase()),
    })
}

fn map(text: &str, character: impl Fn(char) -> char) -> String {
    text.chars().map(character).collect()
}

/// The mapping where it is a single character, the character itself otherwise.
fn only(c: char, mut mapped: impl Iterator<Item = char>) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(single), None) => single,
        _ => c,
    }
}

fn offset(c: char, distance: u32) -> char {
    char::from_u32(u32::from(c) + distance).unwrap_or(c)
}
