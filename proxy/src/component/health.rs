//! How a component is.

use std::fmt;
use std::time::SystemTime;

/// How a component is, in words and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The state.
    pub state: HealthState,
    /// What there is to say about it.
    pub message: String,
    /// Since when.
    pub since: SystemTime,
}

/// What goes wrong in a component that is healthy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// What happened last, where, and why.
    pub reason: String,
    /// Since when it goes on.
    pub since: SystemTime,
}

/// The reference's states, from good to bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HealthState {
    /// It does what it should.
    Healthy,
    /// Not known yet.
    Unknown,
    /// It runs, and something is wrong.
    Unhealthy,
    /// It does not run any more.
    Exited,
}

impl Health {
    /// All is well, from now on.
    pub fn healthy(message: impl Into<String>) -> Self {
        Self { state: HealthState::Healthy, message: message.into(), since: SystemTime::now() }
    }

    /// Something is wrong, from now on.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self { state: HealthState::Unhealthy, message: message.into(), since: SystemTime::now() }
    }

    /// The worse of two; of equally bad ones the first.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        if other.state > self.state { other } else { self }
    }
}

impl HealthState {
    /// The reference's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Unhealthy => "unhealthy",
            Self::Exited => "exited",
        }
    }
}

impl fmt::Display for HealthState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
