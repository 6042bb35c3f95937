//! The ways of setting programs up that are measured beside the plain one.

mod backends;
mod tls;

use std::net::SocketAddr;
use std::path::Path;

use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::certificate::Certificate;
use super::goal::Goal;

/// One line a variant.
pub(crate) const VARIANTS: [&Variant; 3] = [&tls::UPSTREAM, &tls::BOTH, &backends::BACKENDS];

/// A way of setting a program up.
pub(crate) struct Variant {
    /// As in `--with NAME`.
    pub(crate) name: &'static str,
    /// The name of Flamegate so set up, in tables and goals.
    pub(crate) flamegate: &'static str,
    /// Flamegate's configuration.
    pub(crate) configuration: fn(&Place<'_>) -> String,
    /// The same by nginx, where it can do it.
    pub(crate) nginx: Option<Nginx>,
    /// Whether the load comes over TLS.
    pub(crate) tls_in: bool,
    /// Whether the sinks take TLS alone.
    pub(crate) tls_out: bool,
    /// Sinks that take the load together.
    pub(crate) sinks: usize,
    /// What is wanted of it.
    pub(crate) goals: &'static [Goal],
}

/// nginx, set up as Flamegate is in a variant.
pub(crate) struct Nginx {
    /// In tables and goals.
    pub(crate) name: &'static str,
    pub(crate) configuration: fn(&Place<'_>) -> String,
}

/// Where a program stands in one measurement.
pub(crate) struct Place<'p> {
    /// Where it takes the load.
    pub(crate) listen: SocketAddr,
    /// Where it hands it on to.
    pub(crate) sinks: &'p [SocketAddr],
    /// Senders at once.
    pub(crate) connections: usize,
    /// Of whoever speaks TLS here.
    pub(crate) certificate: &'p Certificate,
    /// For its files.
    pub(crate) folder: &'p Path,
}

/// Reads the name of a variant.
pub(super) fn names() -> impl TypedValueParser<Value = &'static Variant> {
    let named = |name: String| VARIANTS.into_iter().find(|variant| variant.name == name).context("no such variant");
    PossibleValuesParser::new(VARIANTS.map(|variant| variant.name)).try_map(named)
}

impl Place<'_> {
    /// The first sink, where there is one alone.
    pub(crate) fn sink(&self) -> SocketAddr {
        // A measurement without a sink has nowhere to listen either.
        self.sinks.first().copied().unwrap_or(self.listen)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_told_apart_and_goals_are_of_programs_that_run() {
        let mut names = BTreeSet::from(["bare", "flamegate", "nginx"]);
        for variant in VARIANTS {
            assert!(names.insert(variant.flamegate), "{}", variant.flamegate);
            assert!(variant.nginx.as_ref().is_none_or(|nginx| names.insert(nginx.name)), "{}", variant.name);
            for goal in variant.goals {
                assert!(names.contains(goal.program) && names.contains(goal.over), "{goal:?}");
            }
        }
    }
}
