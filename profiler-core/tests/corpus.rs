//! Inputs that a fuzzer has found interesting, and those that once failed: what must hold for any holds for them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "what a test's own functions cannot do fails the test")]

use std::path::Path;

use flamegate_fuzz::pprof;

#[test]
fn what_must_hold_for_any_input_holds_for_the_corpus() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/pprof");
    let inputs: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(inputs.len() >= 5, "the corpus has {} inputs: it is not where it should be", inputs.len());
    for input in inputs {
        let bytes = std::fs::read(&input).unwrap();
        if let Err(broken) = pprof::check(&bytes) {
            panic!("{}: {broken}", input.display());
        }
    }
}
