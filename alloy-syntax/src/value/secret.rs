//! Text that must not be shown.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use super::{CapsuleValue, Value};

const HIDDEN: &str = "(secret)";

/// Text that never becomes a string by itself and is shown as `(secret)`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(Arc<str>);

impl Secret {
    /// A secret of this text.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self(Arc::from(text.as_ref()))
    }

    /// The text itself, for whoever needs it to log in.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Whether the text is empty, as it is where the configuration does not give one.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl CapsuleValue for Secret {
    fn type_name(&self) -> &str {
        "secret"
    }

    fn equals(&self, other: &dyn CapsuleValue) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<Self>() == Some(self)
    }

    fn display(&self) -> Option<String> {
        Some(self.to_string())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl From<Secret> for Value {
    fn from(secret: Secret) -> Self {
        Self::capsule(secret)
    }
}

/// Text that may be a secret: what was read from a file or a remote place, marked by whoever read it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct OptionalSecret {
    is_secret: bool,
    text: Arc<str>,
}

impl OptionalSecret {
    /// Text that must not be shown.
    pub fn secret(text: impl AsRef<str>) -> Self {
        Self { is_secret: true, text: Arc::from(text.as_ref()) }
    }

    /// Text that may be shown.
    pub fn plain(text: impl AsRef<str>) -> Self {
        Self { is_secret: false, text: Arc::from(text.as_ref()) }
    }

    /// Whether the text must not be shown.
    pub fn is_secret(&self) -> bool {
        self.is_secret
    }

    /// The text, secret or not.
    pub fn expose(&self) -> &str {
        &self.text
    }
}

impl CapsuleValue for OptionalSecret {
    fn type_name(&self) -> &str {
        "optional_secret"
    }

    fn equals(&self, other: &dyn CapsuleValue) -> bool {
        let other: &dyn Any = other;
        other.downcast_ref::<Self>() == Some(self)
    }

    /// In quotes, which tell a text from `(secret)`.
    fn display(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }
}

impl fmt::Debug for OptionalSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_secret { f.write_str(HIDDEN) } else { f.write_str(&crate::quote::quote(&self.text)) }
    }
}

impl fmt::Display for OptionalSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_secret { HIDDEN } else { &self.text })
    }
}

impl From<OptionalSecret> for Value {
    fn from(secret: OptionalSecret) -> Self {
        Self::capsule(secret)
    }
}
