//! Case as Go sees it: one character always becomes one character.

pub(super) fn to_lower(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut lower = c.to_lowercase();
            // Only U+0130 becomes two: an i and a dot that Go drops.
            lower.next().unwrap_or(c)
        })
        .collect()
}

pub(super) fn to_upper(text: &str) -> String {
    text.chars()
        .map(|c| {
            let mut upper = c.to_uppercase();
            match (upper.next(), upper.next()) {
                (Some(single), None) => single,
                _ => with_iota_beside(c),
            }
        })
        .collect()
}

/// Of the letters that become more than one, only the Greek ones with a small iota below have a capital of
/// their own.
fn with_iota_beside(c: char) -> char {
    let distance = match c {
        '\u{1f80}'..='\u{1f87}' | '\u{1f90}'..='\u{1f97}' | '\u{1fa0}'..='\u{1fa7}' => 8,
        '\u{1fb3}' | '\u{1fc3}' | '\u{1ff3}' => 9,
        _ => 0,
    };
    char::from_u32(u32::from(c) + distance).unwrap_or(c)
}
