//! Edits of profiles: `cargo xtask soak fuzz`, or `cargo fuzz run pprof -s none`.

#![no_main]
#![allow(clippy::panic, reason = "it is how libFuzzer hears of a failure")]

use flamegate_fuzz::pprof;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = pprof::check(input) {
        panic!("{broken}");
    }
});
