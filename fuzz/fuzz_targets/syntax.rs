//! Alloy's syntax: `cargo xtask soak fuzz`, or `cargo fuzz run syntax -s none`.

#![no_main]
#![allow(clippy::panic, reason = "it is how libFuzzer hears of a failure")]

use flamegate_fuzz::syntax;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = syntax::check(input) {
        panic!("{broken}");
    }
});
