//! Inputs that a fuzzer has found interesting, and those that once failed: what must hold for any holds for them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

use std::fmt::Display;
use std::path::Path;

use flamegate_fuzz::{delta, jfr, native, pprof, runtimes, symbols};

#[test]
fn what_must_hold_for_any_profile_holds_for_the_corpus() {
    replay("pprof", pprof::check);
}

#[test]
fn what_must_hold_for_any_deltas_holds_for_the_corpus() {
    replay("delta", delta::check);
}

#[test]
fn what_must_hold_for_any_file_of_machine_code_holds_for_the_corpus() {
    replay("native", native::check);
}

#[test]
fn what_must_hold_for_any_memory_of_a_runtime_holds_for_the_corpus() {
    replay("runtimes", runtimes::check);
}

#[test]
fn what_must_hold_for_any_names_holds_for_the_corpus() {
    replay("symbols", symbols::check);
}

#[test]
fn what_must_hold_for_any_recording_holds_for_the_corpus() {
    replay("jfr", jfr::check);
}

fn replay<E: Display>(target: &str, check: impl Fn(&[u8]) -> Result<(), E>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 3, "the corpus has {} inputs: it is not where it should be", inputs.len());
    for input in inputs {
        let bytes = std::fs::read(&input).unwrap();
        if let Err(broken) = check(&bytes) {
            panic!("{}: {broken}", input.display());
        }
    }
}
