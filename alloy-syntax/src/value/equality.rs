//! When two values are equal.

use super::Value;
use super::number::Number;

impl PartialEq for Value {
    /// The language's `==` without its treatment of secrets: values of different types are unequal, numbers
    /// are compared by value (`3 == 3.0`), arrays and objects by their contents, functions never are equal.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(left), Self::Bool(right)) => left == right,
            (Self::Object(left), Self::Object(right)) => left == right,
            (Self::Capsule(left), Self::Capsule(right)) => left == right,
            (Self::Array(left), Self::Array(right)) => left == right,
            (Self::Bytes(left), Self::Bytes(right)) => left == right,
            (Self::Array(_) | Self::Bytes(_), Self::Array(_) | Self::Bytes(_)) => self.elements() == other.elements(),
            (Self::String(_) | Self::NonUtf8(_), _) => {
                other.text_bytes().is_some() && self.text_bytes() == other.text_bytes()
            }
            _ => match (Number::of(self), Number::of(other)) {
                (Some(left), Some(right)) => left.pair(right).compare() == Some(std::cmp::Ordering::Equal),
                _ => false,
            },
        }
    }
}
