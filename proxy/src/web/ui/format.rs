//! Figures and texts, as people read them.

use std::time::Duration;

/// Letters of a text that are shown in one place.
pub(crate) const SHORT: usize = 300;

/// A text that may hold anything, in one line and of a bounded length: control characters, and those that turn the
/// direction of what follows, are shown as a dot.
pub(crate) fn plain(text: &str, most: usize) -> String {
    let turns =
        |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let letter = |letter: char| if letter.is_control() || turns(letter) { '·' } else { letter };
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(most).map(letter).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The beginning of a text of any length.
pub(crate) fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A number with three digits and a prefix: `1.23k`.
pub(crate) fn number(value: f64) -> String {
    scaled(value, 1000.0, &["", "k", "M", "G", "T"])
}

/// Bytes: `1.2 MiB`.
pub(crate) fn bytes(value: f64) -> String {
    scaled(value, 1024.0, &[" B", " KiB", " MiB", " GiB", " TiB"])
}

/// A value of a profile in its unit.
pub(crate) fn value(value: u64, unit: &str) -> String {
    let value = value as f64;
    match unit {
        "nanoseconds" => duration(value / 1e9),
        "microseconds" => duration(value / 1e6),
        "milliseconds" => duration(value / 1e3),
        "seconds" => duration(value),
        "bytes" => bytes(value),
        "count" | "" => number(value),
        other => format!("{} {}", number(value), plain(other, 20)),
    }
}

/// A share from 0 to 1.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent > 0.0 && percent < 0.01 { "<0.01 %".to_owned() } else { format!("{percent:.2} %") }
}

/// A change of shares, in percentage points.
pub(crate) fn change(shown: f64, compared: f64) -> String {
    let points = (shown - compared) * 100.0;
    if points.abs() < 0.005 { "±0".to_owned() } else { format!("{points:+.2}").replace('-', "−") }
}

/// How long ago, or for how long, in words.
pub(crate) fn age(age: Duration) -> String {
    match age.as_secs() {
        0 => "now".to_owned(),
        seconds @ 1..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds / 60),
        seconds @ 7200..=172_799 => format!("{} h", seconds / 3600),
        seconds => format!("{} d", seconds / 86_400),
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        0.0 => "0 s".to_owned(),
        s if s < 1e-6 => format!("{} ns", digits(s * 1e9)),
        s if s < 1e-3 => format!("{} µs", digits(s * 1e6)),
        s if s < 1.0 => format!("{} ms", digits(s * 1e3)),
        s if s < 120.0 => format!("{} s", digits(s)),
        s if s < 7200.0 => format!("{} min", digits(s / 60.0)),
        s => format!("{} h", digits(s / 3600.0)),
    }
}

fn scaled(value: f64, step: f64, prefixes: &[&str]) -> String {
    // Nothing added up is -0.
    let mut value = value + 0.0;
    let mut prefixes = prefixes.iter();
    let mut prefix = prefixes.next().copied().unwrap_or_default();
    for next in prefixes {
        if value < step {
            break;
        }
        value /= step;
        prefix = next;
    }
    format!("{}{prefix}", digits(value))
}

/// Three digits.
fn digits(value: f64) -> String {
    match value {
        v if v == v.trunc() && v < 1000.0 => format!("{v:.0}"),
        v if v < 10.0 => format!("{v:.2}"),
        v if v < 100.0 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits() {
        for (shown, expected) in [
            (number(0.0), "0"),
            (number([0.0; 0].iter().sum()), "0"),
            (number(0.25), "0.25"),
            (number(12.34), "12.3"),
            (number(123_456.0), "123k"),
            (bytes(1536.0), "1.50 KiB"),
            (value(1_500_000_000, "nanoseconds"), "1.50 s"),
            (value(90_000_000_000_000, "nanoseconds"), "25 h"),
            (value(2048, "bytes"), "2 KiB"),
            (value(7, "goroutines"), "7 goroutines"),
            (percent(0.123), "12.30 %"),
            (percent(0.000_01), "<0.01 %"),
            (change(0.1, 0.25), "−15.00"),
            (age(Duration::from_secs(7300)), "2 h"),
        ] {
            assert_eq!(shown, expected);
        }
    }

    #[test]
    fn hostile_texts_stay_on_one_short_line() {
        assert_eq!(plain("a\n\u{1b}[31m\u{202e}b", 9), "a··[31m·b");
        assert_eq!(plain(&"x".repeat(10_000), 3), "xxx…");
        assert_eq!((cut("äöü", 3), cut("äöü", 2)), ("äöü".to_owned(), "äö…".to_owned()));
    }
}
