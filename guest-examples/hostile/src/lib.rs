//! A filter that misbehaves as its configuration says: what the sandbox is tested with, and never shipped.
//!
//! The configuration is `BEHAVIOUR` or `BEHAVIOUR=ARGUMENT`; [`Behaviour`] lists them.

mod behaviour;
#[cfg(target_arch = "wasm32")]
mod component;

pub use behaviour::Behaviour;
