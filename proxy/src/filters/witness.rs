//! What is seen of an instance that its author tries out: the lines that it logs, and where it failed.

use std::sync::{Mutex, MutexGuard, PoisonError};

use wasmtime::WasmBacktrace;

use super::bindings::flamegate::filter::log::Level;
use super::guest_log::LINE_BYTES;
use super::verdict::cut;

/// Most lines of one call that are kept.
const MOST_LINES: usize = 200;
/// Most functions of a backtrace; recursion without end has thousands.
const MOST_FRAMES: usize = 16;
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
    pub frames: Vec<String>,
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
        let frames = backtrace.frames();
        let mut names: Vec<String> = frames
            .iter()
            .take(MOST_FRAMES)
            .map(|frame| match frame.func_name() {
                Some(name) => cut(&format!("{:#}", rustc_demangle::demangle(name)), FRAME_BYTES).to_owned(),
                None => format!("function {} (the module has no names)", frame.func_index()),
            })
            .collect();
        if let more @ 1.. = frames.len().saturating_sub(MOST_FRAMES) {
            names.push(format!("… and {more} more"));
        }
        self.locked().frames = names;
    }

    /// Hands over what was seen, and begins anew.
    pub(super) fn take(&self) -> Seen {
        std::mem::take(&mut *self.locked())
    }

    fn locked(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
