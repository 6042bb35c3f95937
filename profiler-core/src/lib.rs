//! What a profile is, the labels of its series and the pprof message inside, and how one is taken of native code.
//!
//! This crate knows no HTTP, no configuration and no runtime.

pub mod labels;
pub mod native;
pub mod pprof;
