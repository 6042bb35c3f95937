//! What `pyroscope.enrich` does: a profile that names a target gets the target's labels.
//!
//! Built for `wasm32` the crate is also the filter itself, a component of the world `labels-filter`. It looks rows up
//! in the table [`TABLE`], whose key is the targets' match label.

#[cfg(target_arch = "wasm32")]
mod component;
mod settings;

pub use settings::Settings;

/// The table of targets.
pub const TABLE: &str = "targets";
