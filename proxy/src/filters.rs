//! The Wasm host: filters run in a sandbox that they cannot leave, for as long and in as much memory as they may.
//!
//! [`FilterHost`] compiles a [`Module`]; a [`Generation`] is one with a configuration, its tables, its instances and
//! the verdicts that it has made; a [`Filter`] asks the generation that runs, and spares others a slow one.
//!
//! Only this module knows wasmtime.

mod bindings;
mod breaker;
mod builtins;
pub mod cases;
mod code_store;
mod compiler;
mod configured_filter;
mod digest;
mod engine;
mod error;
mod filter;
mod generation;
mod guest_log;
mod host;
mod instance;
mod pool;
mod profile;
mod tables;
mod trial;
mod verdict;
mod witness;
mod world;

pub use breaker::BreakerState;
pub use builtins::Builtin;
pub use compiler::{COMPILE_COMMAND, CodeOrigin, Compiler, compile_to_stdout};
pub use configured_filter::{ConfiguredFilter, FilterSettings, LONGEST_TIMEOUT};
pub use digest::{Digest, NoDigest};
pub use engine::{CompileError, MAX_MEMORY};
pub use error::{ConfigureError, ERROR_KINDS, FilterError, UNSUPPORTED};
pub use filter::{Filter, Judged, JudgedProfile, Observed};
pub use generation::{Generation, Remember};
pub use host::{FilterHost, MAX_COMPONENT, Module};
pub use instance::Described;
pub use profile::MAX_PROFILE;
pub(crate) use profile::function_name;
pub use tables::{MAX_ROWS, Rows, TableError, Tables};
pub use trial::{GuestFunction, Trial, TrialError, TrialSettings, Tried};
pub use verdict::{AnswerError, Verdict, VerdictCache};
pub use witness::{Frame, LogLine};
pub use world::{Capability, NoCapability, World};
