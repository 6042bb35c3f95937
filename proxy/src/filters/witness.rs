//! What is seen of an instance that its author tries out: the lines that it logs, and where it failed.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::WasmBacktrace;

use super::bindings::labels::flamegate::filter::log::Level;
use super::guest_log::LINE_BYTES;
use super::verdict::cut;

/// Most lines of one call that are kept.
const MOST_LINES: usize = 200;
/// Longest name of a function, in bytes.
const FRAME_BYTES: usize = 256;

/// Watches one instance.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Seen>);

/// What was seen since the last look.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub lines: Vec<LogLine>,
    /// Lines that came when enough were there already.
    pub left_out: usize,
    /// Functions that were on the stack when it trapped, innermost first; empty where nothing trapped.
    pub frames: Vec<Frame>,
    /// Whether a call of an exported function has begun.
    pub begun: bool,
}

/// A line that a filter wrote to its log, cut as the log cuts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// `debug`, `info`, `warn` or `error`.
    pub level: &'static str,
    /// What it says.
    pub text: String,
}

/// A function on the stack of a filter. The engine keeps the innermost twenty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its place in its module.
    pub function: u32,
    /// What the module calls it; none where it was stripped of names.
    pub name: Option<String>,
    /// How often it stands there in a row.
    pub times: usize,
}

/// Its name or its place, and how often.
impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name)?,
            None => write!(f, "function {}", self.function)?,
        }
        if self.times > 1 { write!(f, ", {} times", self.times) } else { Ok(()) }
    }
}

impl Witness {
    pub(super) fn call_begins(&self) {
        self.locked().begun = true;
    }

    pub(super) fn has_begun_a_call(&self) -> bool {
        self.locked().begun
    }

    pub(super) fn line(&self, level: Level, text: &str) {
        let mut seen = self.locked();
        if seen.lines.len() >= MOST_LINES {
            seen.left_out += 1;
            return;
        }
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        seen.lines.push(LogLine { level, text: cut(text, LINE_BYTES).to_owned() });
    }

    pub(super) fn failed(&self, error: &wasmtime::Error) {
        let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return };
        let mut frames: Vec<Frame> = Vec::new();
        for frame in backtrace.frames() {
            let name = frame.func_name().map(|name| {
                let name = format!("{:#}", rustc_demangle::demangle(name));
                cut(&name, FRAME_BYTES).to_owned()
            });
            let function = frame.func_index();
            match frames.last_mut() {
                Some(last) if last.function == function && last.name == name => last.times += 1,
                _ => frames.push(Frame { function, name, times: 1 }),
            }
        }
        self.locked().frames = frames;
    }

    /// Hands over what was seen, and begins anew.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut *self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
