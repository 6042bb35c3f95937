//! Durations in Go's notation.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::{DecodeError, DecodeValue};
use crate::value::Value;

/// A duration that may be negative, written as `1h30m`, `-5s`, `1.5ms` or `0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct GoDuration {
    /// In nanoseconds.
    pub nanoseconds: i64,
}

/// Why a text is no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ParseDurationError {
    /// It is none at all, or too long a one.
    #[error("time: invalid duration {}", quote(.0))]
    Invalid(String),
    /// A number has no unit.
    #[error("time: missing unit in duration {}", quote(.0))]
    MissingUnit(String),
    /// A number has a unit that there is not.
    #[error("time: unknown unit {} in duration {}", quote(.unit), quote(.text))]
    UnknownUnit {
        /// The unit.
        unit: String,
        /// The whole text.
        text: String,
    },
}

impl GoDuration {
    /// The duration, unless it is negative.
    pub fn to_std(self) -> Option<Duration> {
        u64::try_from(self.nanoseconds).ok().map(Duration::from_nanos)
    }

    /// The duration; what is longer than 292 years becomes the longest that there is.
    pub fn saturating_from(duration: Duration) -> Self {
        Self { nanoseconds: i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX) }
    }
}

impl FromStr for GoDuration {
    type Err = ParseDurationError;

    fn from_str(text: &str) -> Result<Self, ParseDurationError> {
        let invalid = || ParseDurationError::Invalid(text.to_owned());
        let negative = text.starts_with('-');
        let mut rest = text.strip_prefix(['-', '+']).unwrap_or(text);
        if rest == "0" {
            return Ok(Self::default());
        }
        if rest.is_empty() {
            return Err(invalid());
        }
        let mut total: u64 = 0;
        while !rest.is_empty() {
            let (term, behind) = parse_term(rest, text)?;
            rest = behind;
            total = total.checked_add(term).filter(|&total| total <= LONGEST).ok_or_else(invalid)?;
        }
        let nanoseconds = match i64::try_from(total) {
            Ok(nanoseconds) if negative => -nanoseconds,
            Ok(nanoseconds) => nanoseconds,
            Err(_) if negative => i64::MIN,
            Err(_) => return Err(invalid()),
        };
        Ok(Self { nanoseconds })
    }
}

/// The nanoseconds of the longest duration, which only a negative one reaches.
const LONGEST: u64 = 1 << 63;

/// A number and its unit, in nanoseconds, and the text behind them.
fn parse_term<'t>(rest: &'t str, text: &str) -> Result<(u64, &'t str), ParseDurationError> {
    let invalid = || ParseDurationError::Invalid(text.to_owned());
    let (whole, behind) = split_digits(rest);
    let (fraction, behind) = match behind.strip_prefix('.') {
        Some(behind) => split_digits(behind),
        None => ("", behind),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(invalid());
    }
    let unit_end = behind.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(behind.len());
    let (unit, behind) = behind.split_at(unit_end);
    if unit.is_empty() {
        return Err(ParseDurationError::MissingUnit(text.to_owned()));
    }
    let unit_length: u64 = match unit {
        "ns" => 1,
        "us" | "\u{b5}s" | "\u{3bc}s" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return Err(ParseDurationError::UnknownUnit { unit: unit.to_owned(), text: text.to_owned() }),
    };
    let whole: u64 = if whole.is_empty() { 0 } else { whole.parse().map_err(|_| invalid())? };
    let whole = whole.checked_mul(unit_length).filter(|&whole| whole <= LONGEST).ok_or_else(invalid)?;
    let term = whole.checked_add(fraction_of(fraction, unit_length)).ok_or_else(invalid)?;
    Ok((term, behind))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// Digits behind the point, of a unit; what is shorter than a nanosecond is dropped.
fn fraction_of(digits: &str, unit: u64) -> u64 {
    let mut remaining = u128::from(unit);
    let mut scale: u128 = 1;
    let mut sum: u128 = 0;
    // 18 digits reach below a nanosecond for every unit.
    for digit in digits.bytes().take(18) {
        scale *= 10;
        sum = sum * 10 + u128::from(digit - b'0');
    }
    remaining *= sum;
    u64::try_from(remaining / scale).unwrap_or(u64::MAX)
}

/// Go's own quotes for durations: whatever is not ASCII becomes `\xHH`.
fn quote(text: &str) -> String {
    let mut quoted = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => quoted.extend(['\\', char::from(byte)]),
            b' '..=b'~' => quoted.push(char::from(byte)),
            _ => quoted.push_str(&format!("\\x{byte:02x}")),
        }
    }
    quoted.push('"');
    quoted
}

impl fmt::Display for GoDuration {
    /// As Go writes it: `1h30m0s`, `1.5s`, `250ms`, `0s`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanoseconds < 0 {
            f.write_str("-")?;
        }
        let total = self.nanoseconds.unsigned_abs();
        match total {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{total}ns"),
            1_000..1_000_000 => write_decimal(f, total, 3, "µs"),
            1_000_000..1_000_000_000 => write_decimal(f, total, 6, "ms"),
            _ => {
                let (minutes, rest) = (total / 60_000_000_000, total % 60_000_000_000);
                if minutes >= 60 {
                    write!(f, "{}h", minutes / 60)?;
                }
                if minutes > 0 {
                    write!(f, "{}m", minutes % 60)?;
                }
                write_decimal(f, rest, 9, "s")
            }
        }
    }
}

fn write_decimal(f: &mut fmt::Formatter<'_>, number: u64, places: u32, unit: &str) -> fmt::Result {
    let scale = 10_u64.pow(places);
    write!(f, "{}", number / scale)?;
    if !number.is_multiple_of(scale) {
        let fraction = format!("{:0width$}", number % scale, width = places as usize);
        write!(f, ".{}", fraction.trim_end_matches('0'))?;
    }
    f.write_str(unit)
}

impl DecodeValue for GoDuration {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        if value.is_null() {
            return Ok(Self::default());
        }
        let text = String::decode_value(value)?;
        text.parse().map_err(|error: ParseDurationError| DecodeError::new(error.to_string()))
    }

    fn encode_value(&self) -> Value {
        Value::from(self.to_string())
    }

    fn type_name() -> String {
        "duration".to_owned()
    }
}

impl DecodeValue for Duration {
    fn decode_value(value: &Value) -> Result<Self, DecodeError> {
        let duration = GoDuration::decode_value(value)?;
        duration.to_std().ok_or_else(|| DecodeError::new("must not be negative: give a duration of 0s or more"))
    }

    fn encode_value(&self) -> Value {
        GoDuration::saturating_from(*self).encode_value()
    }

    fn type_name() -> String {
        GoDuration::type_name()
    }
}
