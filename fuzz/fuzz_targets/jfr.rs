//! Recordings of Java: `cargo xtask soak fuzz`, or `cargo fuzz run jfr -s none`.

#![no_main]
#![allow(clippy::panic, reason = "it is how libFuzzer hears of a failure")]

use flamegate_fuzz::jfr;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = jfr::check(input) {
        panic!("{broken}");
    }
});
