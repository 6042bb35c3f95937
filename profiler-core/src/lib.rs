//! What a profile is, the labels of its series and the pprof message inside, and how one is taken of native code.
//!
//! This crate knows no HTTP, no configuration and no runtime. `java`, `kernel`, `process` and `sampler` are of
//! Linux.

pub mod collection;
pub mod flame;
pub mod java;
pub mod jfr;
pub mod kernel;
pub mod labels;
pub mod native;
pub mod pprof;
pub mod process;
pub mod runtime;
pub mod sampler;
pub mod symbolizer;
