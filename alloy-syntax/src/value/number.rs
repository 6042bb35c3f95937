//! Numbers of three kinds.

use std::cmp::Ordering;

use super::Value;

/// A number; of two kinds the wider one is that of the result: uint, int, float.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Number {
    Uint(u64),
    Int(i64),
    Float(f64),
}

/// Two numbers brought to one kind.
pub(crate) enum Pair {
    Uint(u64, u64),
    Int(i64, i64),
    Float(f64, f64),
}

impl Number {
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match *value {
            Value::Int(number) => Some(Self::Int(number)),
            Value::Uint(number) => Some(Self::Uint(number)),
            Value::Float(number) => Some(Self::Float(number)),
            _ => None,
        }
    }

    /// Wraps around.
    #[allow(clippy::cast_possible_wrap, reason = "uint to int wraps in the language")]
    pub(crate) fn to_int(self) -> i64 {
        match self {
            Self::Uint(number) => number as i64,
            Self::Int(number) => number,
            Self::Float(number) => truncate(number),
        }
    }

    /// Wraps around.
    #[allow(
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation,
        reason = "int to uint wraps in the language; a float is truncated"
    )]
    pub(crate) fn to_uint(self) -> u64 {
        match self {
            Self::Uint(number) => number,
            Self::Int(number) => number as u64,
            // Beyond the largest int the conversion through it would lose the number.
            Self::Float(number) if number >= INT_LIMIT => number as u64,
            Self::Float(number) => truncate(number) as u64,
        }
    }

    #[allow(clippy::cast_precision_loss, reason = "a float is what was asked for")]
    pub(crate) fn to_float(self) -> f64 {
        match self {
            Self::Uint(number) => number as f64,
            Self::Int(number) => number as f64,
            Self::Float(number) => number,
        }
    }

    pub(crate) fn pair(self, other: Self) -> Pair {
        match (self, other) {
            (Self::Float(_), _) | (_, Self::Float(_)) => Pair::Float(self.to_float(), other.to_float()),
            (Self::Int(_), _) | (_, Self::Int(_)) => Pair::Int(self.to_int(), other.to_int()),
            (Self::Uint(left), Self::Uint(right)) => Pair::Uint(left, right),
        }
    }

    pub(crate) fn is_zero(self) -> bool {
        match self {
            Self::Uint(number) => number == 0,
            Self::Int(number) => number == 0,
            Self::Float(number) => number == 0.0,
        }
    }

    /// As decimal digits, without an exponent.
    pub(crate) fn to_text(self) -> String {
        match self {
            Self::Uint(number) => number.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) if number.is_nan() => "NaN".to_owned(),
            Self::Float(number) if number.is_infinite() => if number > 0.0 { "+Inf" } else { "-Inf" }.to_owned(),
            Self::Float(number) => number.to_string(),
        }
    }
}

impl Pair {
    pub(crate) fn compare(&self) -> Option<Ordering> {
        match self {
            Self::Uint(left, right) => Some(left.cmp(right)),
            Self::Int(left, right) => Some(left.cmp(right)),
            Self::Float(left, right) => left.partial_cmp(right),
        }
    }
}

/// 2^63.
const INT_LIMIT: f64 = 9_223_372_036_854_775_808.0;

/// Toward zero; what does not fit becomes the smallest int, as the reference's processors make it.
#[allow(clippy::cast_possible_truncation, reason = "the range is checked")]
fn truncate(number: f64) -> i64 {
    if (-INT_LIMIT..INT_LIMIT).contains(&number) { number as i64 } else { i64::MIN }
}
