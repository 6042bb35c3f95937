//! Names of functions: `cargo xtask soak fuzz`, or `cargo fuzz run symbols -s none`.

#![no_main]
#![allow(clippy::panic, reason = "it is how libFuzzer hears of a failure")]

use flamegate_fuzz::symbols;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = symbols::check(input) {
        panic!("{broken}");
    }
});
