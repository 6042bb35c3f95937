//! Which names mean what.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::stdlib::{self, StdlibOptions};
use crate::value::Value;

/// The names that an expression may use. A clone, and a scope made of another, share it.
#[derive(Clone, Default)]
pub struct Scope(Option<Arc<Layer>>);

struct Layer {
    names: BTreeMap<String, Value>,
    below: Scope,
}

impl Scope {
    /// A scope without a name in it.
    pub fn empty() -> Self {
        Self::default()
    }

    /// The standard library.
    pub fn stdlib(options: &StdlibOptions) -> Self {
        Self::empty().extend(stdlib::names(options))
    }

    /// This scope and one name more, which hides another of that name.
    #[must_use]
    pub fn with(&self, name: impl Into<String>, value: Value) -> Self {
        self.extend([(name.into(), value)])
    }

    /// This scope and more names, which hide others of those names. A lookup passes through every layer, so
    /// many names should be put in by one call.
    #[must_use]
    pub fn extend<N: Into<String>>(&self, names: impl IntoIterator<Item = (N, Value)>) -> Self {
        let names = names.into_iter().map(|(name, value)| (name.into(), value)).collect();
        Self(Some(Arc::new(Layer { names, below: self.clone() })))
    }

    /// What a name means.
    pub fn lookup(&self, name: &str) -> Option<&Value> {
        self.layers().find_map(|layer| layer.names.get(name))
    }

    /// All names, sorted.
    pub fn names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.each_name().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// All names, in no order; one that hides another comes twice.
    pub(crate) fn each_name(&self) -> impl Iterator<Item = &str> {
        self.layers().flat_map(|layer| layer.names.keys().map(String::as_str))
    }

    fn layers(&self) -> impl Iterator<Item = &Layer> {
        std::iter::successors(self.0.as_deref(), |layer| layer.below.0.as_deref())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Scope").field(&self.names()).finish()
    }
}
