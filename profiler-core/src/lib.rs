//! What a profile is: the labels of its series and the pprof message inside.
//!
//! This crate knows no HTTP, no configuration and no runtime: everything here is a value or a pure function.

pub mod labels;
pub mod pprof;
