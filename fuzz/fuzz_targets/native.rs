//! Files of machine code: `cargo xtask soak fuzz`, or `cargo fuzz run native -s none`.

#![no_main]
#![allow(clippy::panic, reason = "it is how libFuzzer hears of a failure")]

use flamegate_fuzz::native;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Err(broken) = native::check(input) {
        panic!("{broken}");
    }
});
