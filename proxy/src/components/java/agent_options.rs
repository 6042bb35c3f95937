//! What async-profiler's agent is told, in its own words.

use std::fmt;

/// Options of a recording: what is recorded and how, but not where to and for how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct AgentOptions(Vec<AgentOption>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct AgentOption {
    name: &'static str,
    value: Option<String>,
}

/// A value that would be read as several options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot be given to the profiler: remove the comma or the control character")]
pub(super) struct BadValue(String);

impl AgentOptions {
    pub(super) fn add_flag(&mut self, name: &'static str) {
        self.0.push(AgentOption { name, value: None });
    }

    /// Whether an option is among them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.iter().any(|option| option.name == name)
    }

    /// # Errors
    /// The value would be read as several options.
    pub(super) fn add(&mut self, name: &'static str, value: &str) -> Result<(), BadValue> {
        if value.contains(|character: char| character == ',' || character.is_control()) {
            return Err(BadValue(value.to_owned()));
        }
        self.0.push(AgentOption { name, value: Some(value.to_owned()) });
        Ok(())
    }
}

impl fmt::Display for AgentOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, AgentOption { name, value }) in self.0.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            write!(f, "{comma}{name}")?;
            if let Some(value) = value {
                write!(f, "={value}")?;
            }
        }
        Ok(())
    }
}
