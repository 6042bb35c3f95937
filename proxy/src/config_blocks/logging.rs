//! `logging`: what is logged, and how.

use alloy_syntax::{Arguments, Invalid, TextValue, Value};

use crate::component::{Component, Context};
use crate::telemetry::logs::Logs;

/// What may stand in the block.
#[derive(Debug, Clone, Default, PartialEq, Arguments)]
#[alloy(validate = LoggingArguments::validate)]
pub struct LoggingArguments {
    /// The least level that is logged; `RUST_LOG` overrules it.
    #[alloy(attr, optional)]
    pub level: LogLevel,
    /// How a line is written.
    #[alloy(attr, optional)]
    pub format: LogFormat,
    /// Where lines go.
    #[alloy(attr, optional)]
    pub destination: LogDestination,
    /// Receivers of logs, of which there are none.
    #[alloy(attr, optional)]
    pub write_to: Vec<Value>,
}

impl LoggingArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.write_to.is_empty() {
            return Ok(());
        }
        let message = "no component of Flamegate receives logs: remove it, and let whatever collects standard error \
                       pass them on";
        Err(Invalid::attribute("write_to", message))
    }
}

/// The block.
pub struct LoggingBlock {
    arguments: LoggingArguments,
    logs: Option<Logs>,
}

impl Component for LoggingBlock {
    const NAME: &'static str = "logging";
    const SUMMARY: &'static str = "What is logged, and how.";
    type Arguments = LoggingArguments;

    fn build(arguments: &LoggingArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        Ok(Self { arguments: arguments.clone(), logs: context.services.logs.clone() })
    }

    fn activate(&self) {
        if let Some(logs) = &self.logs {
            logs.apply(&self.arguments);
        }
    }

    fn withdraw(&self) {
        if let Some(logs) = &self.logs {
            logs.apply(&LoggingArguments::default());
        }
    }
}

/// How much a line matters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogLevel {
    /// Every step.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What may be wrong.
    Warn,
    /// What is wrong.
    Error,
}

impl TextValue for LogLevel {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "debug" => Ok(Self::Debug),
            // The reference takes an empty text for the default.
            "info" | "" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            _ => Err("must be \"debug\", \"info\", \"warn\" or \"error\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
        .to_owned()
    }
}

/// How a line is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `key=value`.
    #[default]
    Logfmt,
    /// An object.
    Json,
}

impl TextValue for LogFormat {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "logfmt" | "" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            _ => Err("must be \"logfmt\" or \"json\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Logfmt => "logfmt",
            Self::Json => "json",
        }
        .to_owned()
    }
}

/// Where lines go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogDestination {
    /// Standard error.
    #[default]
    Stderr,
}

impl TextValue for LogDestination {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "stderr" => Ok(Self::Stderr),
            "windows_event_log" => {
                Err("is a destination on Windows, where Flamegate does not run: write \"stderr\"".to_owned())
            }
            _ => Err("must be \"stderr\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Stderr => "stderr",
        }
        .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};

    use super::*;

    fn decode(body: &str) -> Result<LoggingArguments, String> {
        let file = parse_file("test", &format!("logging {{\n{body}\n}}")).unwrap();
        let block = file.body.blocks().next().unwrap();
        decode_block(block, &Scope::stdlib(&StdlibOptions::default())).map_err(|error| error.to_string())
    }

    #[test]
    fn what_may_stand_in_the_block() {
        let written = decode("level = \"warn\"\nformat = \"json\"\ndestination = \"stderr\"\nwrite_to = []").unwrap();
        assert_eq!((written.level, written.format), (LogLevel::Warn, LogFormat::Json));
        assert_eq!(decode("").unwrap(), LoggingArguments::default());
        for (body, says) in [
            ("level = \"trace\"", "test:2:9: \"trace\" must be \"debug\", \"info\", \"warn\" or \"error\""),
            ("format = \"text\"", "test:2:10: \"text\" must be \"logfmt\" or \"json\""),
            ("destination = \"windows_event_log\"", "on Windows, where Flamegate does not run"),
            ("destination = \"syslog\"", "must be \"stderr\""),
            ("write_to = [1]", "test:2:12: no component of Flamegate receives logs"),
        ] {
            let refused = decode(body).unwrap_err();
            assert!(refused.contains(says), "{body}: {refused}");
        }
    }
}
