//! A line before it is written, and its two forms.

use std::fmt::{self, Write};
use std::time::SystemTime;

use tracing::field::{Field, Visit};
use tracing::{Event, Level};

use crate::config_blocks::LogFormat;

/// Bytes of a value; labels of a series may have a million.
const VALUE_BYTES: usize = 16 * 1024;

/// What one event says.
#[derive(Debug)]
pub(super) struct Record {
    time: SystemTime,
    pub(super) level: Level,
    pub(super) target: &'static str,
    message: String,
    fields: Vec<(&'static str, FieldValue)>,
}

#[derive(Debug)]
enum FieldValue {
    Text(String),
    /// A number, or true or false: as it stands in both forms.
    Plain(String),
}

impl Record {
    pub(super) fn of(event: &Event<'_>) -> Self {
        let metadata = event.metadata();
        let mut record = Self {
            time: SystemTime::now(),
            level: *metadata.level(),
            target: metadata.target(),
            message: String::new(),
            fields: Vec::new(),
        };
        event.record(&mut record);
        record
    }

    /// Bytes that it takes while it waits.
    pub(super) fn byte_len(&self) -> usize {
        let fields = self.fields.iter().map(|(_, FieldValue::Text(text) | FieldValue::Plain(text))| text.len());
        size_of::<Self>() + self.message.len() + fields.sum::<usize>()
    }

    /// The line, with its end.
    pub(super) fn line(&self, format: LogFormat) -> String {
        let mut line = String::with_capacity(256);
        // Writing to a string cannot fail.
        let _written = match format {
            LogFormat::Logfmt => self.logfmt(&mut line),
            LogFormat::Json => self.json(&mut line),
        };
        line
    }

    fn logfmt(&self, line: &mut String) -> fmt::Result {
        write!(line, "ts={} level={}", humantime::format_rfc3339_nanos(self.time), self.level_name())?;
        if !self.message.is_empty() {
            write!(line, " msg={}", Logfmt(&self.message))?;
        }
        for (name, value) in &self.fields {
            match value {
                FieldValue::Text(text) => write!(line, " {name}={}", Logfmt(text))?,
                FieldValue::Plain(text) => write!(line, " {name}={text}")?,
            }
        }
        line.write_char('\n')
    }

    fn json(&self, line: &mut String) -> fmt::Result {
        let time = humantime::format_rfc3339_nanos(self.time);
        write!(line, "{{\"ts\":\"{time}\",\"level\":\"{}\"", self.level_name())?;
        if !self.message.is_empty() {
            write!(line, ",\"msg\":{}", json_text(&self.message))?;
        }
        for (name, value) in &self.fields {
            match value {
                FieldValue::Text(text) => write!(line, ",{}:{}", json_text(name), json_text(text))?,
                FieldValue::Plain(text) => write!(line, ",{}:{text}", json_text(name))?,
            }
        }
        line.write_str("}\n")
    }

    fn level_name(&self) -> &'static str {
        match self.level {
            Level::ERROR => "error",
            Level::WARN => "warn",
            Level::INFO => "info",
            _ => "debug",
        }
    }

    fn text(&mut self, field: &Field, mut text: String) {
        if text.len() > VALUE_BYTES {
            text.truncate(text.floor_char_boundary(VALUE_BYTES));
            text.push('…');
        }
        if field.name() == "message" {
            self.message = text;
        } else {
            self.fields.push((field.name(), FieldValue::Text(text)));
        }
    }

    fn plain(&mut self, field: &Field, value: &impl ToString) {
        self.fields.push((field.name(), FieldValue::Plain(value.to_string())));
    }
}

impl Visit for Record {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value.to_owned());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.plain(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.plain(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.plain(field, &value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no word for the others.
        if value.is_finite() { self.plain(field, &value) } else { self.text(field, value.to_string()) }
    }
}

/// A text as a value of logfmt: in quotes where it would not be read as one word.
struct Logfmt<'a>(&'a str);

impl fmt::Display for Logfmt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c > ' ' && !c.is_control() && !matches!(c, '"' | '=');
        if !self.0.is_empty() && self.0.chars().all(plain) {
            f.write_str(self.0)
        } else {
            f.write_str(&alloy_syntax::quote(self.0))
        }
    }
}

fn json_text(text: &str) -> serde_json::Value {
    text.into()
}
