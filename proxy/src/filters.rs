//! The Wasm host: filters run in a sandbox that they cannot leave, for as long and in as much memory as they may.
//!
//! Only this module knows wasmtime.

mod bindings;
mod builtins;
mod cache;
mod compiler;
mod engine;
mod guest_log;
mod labels_filter;

pub use builtins::Builtins;
pub use cache::VerdictCache;
pub use compiler::{COMPILE_COMMAND, Compiler, Source, compile_to_stdout};
pub use engine::{CompileError, CompiledFilter, Engine};
pub use labels_filter::{ConfigureError, FilterError, FilterSettings, LabelsFilter, Verdict};
