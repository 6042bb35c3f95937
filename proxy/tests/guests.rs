//! The filters in `guest-examples/team-label`: one job in five languages, the same cases for each, in the sandbox.
//!
//! `FLAMEGATE_GUESTS` is the folder of the components, `LANGUAGE.wasm` each, which `cargo xtask test` builds from their
//! sources in the same run. Other runs have none of the languages' toolchains: hence `ignore`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flamegate::filters::cases::{Case, Limits};
use flamegate::filters::{ConfiguredFilter, FilterHost, FilterSettings, Module, Tables, Verdict};
use profiler_core::labels::Labels;

#[test]
#[ignore = "`cargo xtask test --only guests` builds it first"]
fn rust() {
    judge("rust");
}

#[test]
#[ignore = "`cargo xtask test --only guests` builds it first"]
fn c() {
    judge("c");
}

#[test]
#[ignore = "`cargo xtask test --only guests` builds it first"]
fn go() {
    judge("go");
}

#[test]
#[ignore = "`cargo xtask test --only guests` builds it first"]
fn python() {
    judge("python");
}

#[test]
#[ignore = "`cargo xtask test --only guests` builds it first"]
fn javascript() {
    judge("javascript");
}

fn judge(language: &str) {
    let guest = Guest::compile(language);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples/team-label/cases.json");
    let limits = Limits { capabilities: Vec::new(), timeout: TIMEOUT, memory_limit: MEMORY_LIMIT };
    for case in Case::read_all(&std::fs::read_to_string(path).unwrap(), no_profiles).unwrap() {
        let differences = case.differences(&guest.0, &limits);
        assert!(differences.is_empty(), "{}: {differences:#?}", case.name);
    }
    frees_what_it_was_handed(&guest);
}

fn no_profiles(path: &Path) -> Result<Bytes, String> {
    Err(format!("{} of a filter of labels", path.display()))
}

/// One instance is handed twice its memory in large label sets, and answers each.
fn frees_what_it_was_handed(guest: &Guest) {
    let filter = guest.configure("team checkout- payments\ndrop dev");
    let value = "v".repeat(LARGE_SET / 16);
    for call in 0..2 * MEMORY_LIMIT / LARGE_SET {
        let names = (0..15).map(|label| (format!("label_{label}"), value.clone()));
        let service = ("service_name".to_owned(), format!("checkout-{call}"));
        let labels = Labels::from_pairs(names.chain([service])).unwrap();
        let Verdict::Replace(changed) = filter.apply(&labels).unwrap() else { panic!("no team in call {call}") };
        assert_eq!(changed.value("team"), Some("payments"), "{call}");
    }
}

/// Far above what any call takes: a busy machine is no reason to fail.
const TIMEOUT: Duration = Duration::from_secs(10);
/// That of `wasm.filter` where its block says nothing.
const MEMORY_LIMIT: usize = 64 << 20;
/// Below the 1 MiB that the labels of a series may have.
const LARGE_SET: usize = 900 << 10;

struct Guest(Module);

impl Guest {
    fn compile(language: &str) -> Self {
        let folder = std::env::var_os("FLAMEGATE_GUESTS").map(PathBuf::from);
        let folder = folder.unwrap_or_else(|| panic!("FLAMEGATE_GUESTS is not set: `cargo xtask test` does it"));
        let bytes = std::fs::read(folder.join(language).with_extension("wasm")).unwrap();
        Self(FilterHost::default().load(&bytes).unwrap().0)
    }

    fn configure(&self, config: &str) -> ConfiguredFilter {
        let settings = FilterSettings {
            name: "team-label".into(),
            config: config.to_owned(),
            tables: Arc::new(Tables::default()),
            capabilities: Vec::new(),
            timeout: TIMEOUT,
            memory_limit: MEMORY_LIMIT,
            cpu_share: 1.0,
        };
        ConfiguredFilter::new(&self.0, settings).unwrap()
    }
}
