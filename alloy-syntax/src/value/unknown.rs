//! Values that nobody knows yet.

use super::{CapsuleValue, Value};

/// Stands for a value that only a running component has.
struct Unknown;

impl CapsuleValue for Unknown {
    fn type_name(&self) -> &str {
        "unknown"
    }
}

impl Value {
    /// Stands for what is not known while a configuration is only checked: the exports of a component that
    /// does not run. A scope that is used to run something must hold none.
    ///
    /// What an expression makes of it (a field, an element, the result of an operator or a call) is unknown
    /// too; [`check_block`](crate::check_block) says how it decodes.
    pub fn unknown() -> Self {
        Self::capsule(Unknown)
    }

    /// Whether the value as a whole is unknown.
    pub fn is_unknown(&self) -> bool {
        matches!(self, Self::Capsule(capsule) if capsule.downcast_ref::<Unknown>().is_some())
    }

    /// Whether the value, or one of its elements or fields, is unknown.
    pub fn holds_unknown(&self) -> bool {
        match self {
            Self::Array(elements) => elements.iter().any(Self::holds_unknown),
            Self::Object(fields) => fields.values().any(Self::holds_unknown),
            other => other.is_unknown(),
        }
    }
}
