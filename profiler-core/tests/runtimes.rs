//! Programs of runtimes that measure their own work: what the samples say of them is what they say of themselves, in
//! stacks that reach the root, with the lines of their source.
//!
//! Needs root (or the capabilities that the sampler names) and the runtimes, which the test command installs. Other
//! versions are tested where a variable names their programs, with colons between: `FLAMEGATE_PYTHONS` and so on.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what a test's own functions cannot do fails the test"
)]

#[path = "truth/running.rs"]
mod running;
mod runtimes {
    // The runtimes that the tests have are for it alone.
    #[cfg(target_arch = "x86_64")]
    mod dotnet;
    mod fpm;
    #[cfg(target_arch = "x86_64")]
    mod hotspot;
    mod node;
    mod oracles;
    mod perl;
    mod php;
    #[cfg(target_arch = "x86_64")]
    #[path = "../dotnet/programs.rs"]
    mod programs;
    mod python;
    mod ruby;
    pub(crate) mod sampled;
    pub(crate) mod source;
}
