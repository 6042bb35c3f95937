//! Deltas of profiles: `cargo xtask soak fuzz`, or `cargo fuzz run delta -s none`.

#![no_main]
#![allow(clippy::panic, reason = "it is how libFuzzer hears of a failure")]

use flamegate_fuzz::delta;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = delta::check(input) {
        panic!("{broken}");
    }
});
