//! Texts of strangers, as a terminal may show them.

use unicode_width::UnicodeWidthChar;

/// The beginning of a text in which nothing is left that moves the cursor, changes colours, turns the direction of what
/// stands beside it or piles up on one place. What is not shown as it is has its number in its place: `<U+1B>`.
pub(super) fn harmless(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(most));
    let mut letters = text.chars();
    for letter in letters.by_ref().take(most) {
        if is_harmless(letter) {
            shown.push(letter);
        } else {
            shown.push_str(&format!("<U+{:X}>", u32::from(letter)));
        }
    }
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// Columns that a harmless text takes.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(|letter| letter.width().unwrap_or_default()).sum()
}

/// As much of a harmless text as so many columns hold.
pub(super) fn fit(text: &str, most: usize) -> String {
    if columns(text) <= most {
        return text.to_owned();
    }
    let mut left = most.saturating_sub(1);
    let fits = |letter: &char| {
        let columns = letter.width().unwrap_or_default();
        let fits = columns <= left;
        left = left.saturating_sub(columns);
        fits
    };
    let mut shown: String = text.chars().take_while(fits).collect();
    if most > 0 {
        shown.push('…');
    }
    shown
}

fn is_harmless(letter: char) -> bool {
    // Control characters have no width; what is added to the letter before, or joins two, has none of its own.
    let takes_room = letter.width().is_some_and(|columns| columns > 0);
    // Some terminals show soft hyphens and begin another line at separators of lines, and others do not.
    takes_room && !matches!(letter, '\u{ad}' | '\u{2028}' | '\u{2029}') && !is_from_right_to_left(letter)
}

/// Letters, and places for letters, that Unicode writes from right to left (DerivedBidiClass.txt): a terminal may turn
/// the order of all that stands between two of them.
fn is_from_right_to_left(letter: char) -> bool {
    matches!(letter,
        '\u{590}'..='\u{8ff}' | '\u{200f}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{feff}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_or_turns_is_left() {
        for (text, shown) in [
            ("shop · größe 日本", "shop · größe 日本"),
            ("a\n\t\u{1b}[31mb\u{9b}", "a<U+A><U+9><U+1B>[31mb<U+9B>"),
            ("\u{202e}x\u{200b}\u{feff}\u{61c}", "<U+202E>x<U+200B><U+FEFF><U+61C>"),
            ("שa", "<U+5E9>a"),
            ("e\u{301}\u{301}", "e<U+301><U+301>"),
            ("\u{2028}\u{ad}", "<U+2028><U+AD>"),
        ] {
            assert_eq!(harmless(text, 99), shown);
        }
        assert_eq!(harmless(&"x".repeat(10_000), 3), "xxx…");
    }

    #[test]
    fn a_text_fits_its_columns() {
        for (text, most, shown) in [
            ("abc", 3, "abc"),
            ("abcd", 3, "ab…"),
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            ("日本語", 4, "日…"),
            ("日", 1, "…"),
            ("a", 0, ""),
        ] {
            assert_eq!(fit(text, most), shown);
            assert!(columns(&fit(text, most)) <= most);
        }
    }
}
