//! What must hold for any input. The targets in `fuzz_targets/` look for an input for which it does not; the tests of
//! the packages replay what they have found.

pub mod delta;
pub mod jfr;
pub mod native;
pub mod pprof;
pub mod runtimes;
pub mod symbols;
pub mod syntax;
