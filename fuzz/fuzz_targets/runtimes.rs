//! The memory of runtimes: `cargo xtask soak fuzz`, or `cargo fuzz run runtimes -s none`.

#![no_main]
#![allow(clippy::panic, reason = "it is how libFuzzer hears of a failure")]

use flamegate_fuzz::runtimes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = runtimes::check(input) {
        panic!("{broken}");
    }
});
