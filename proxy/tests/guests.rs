//! The filters in `guest-examples/team-label`: one job in five languages, the same cases for each, in the sandbox.
//!
//! `FLAMEGATE_GUESTS` is the folder of the components, `LANGUAGE.wasm` each, which `cargo xtask test` builds from their
//! sources in the same run. Other runs have none of the languages' toolchains: hence `ignore`.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flamegate::filters::{ConfigureError, ConfiguredFilter, FilterHost, FilterSettings, Module, Tables, Verdict};
use profiler_core::labels::Labels;
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    /// Its lines.
    config: Vec<String>,
    #[serde(flatten)]
    expected: Expected,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Expected {
    /// What the filter says of the configuration, whole.
    Refused(String),
    /// What becomes of these, one after the other.
    Series(Vec<Series>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Series {
    labels: BTreeMap<String, String>,
    verdict: ExpectedVerdict,
}

#[derive(Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ExpectedVerdict {
    Unchanged,
    /// For this reason.
    Drop(String),
    /// Passed on with these, whole.
    Labels(BTreeMap<String, String>),
}

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
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert!(!cases.is_empty());
    for case in cases {
        meets(&guest, &case);
    }
    frees_what_it_was_handed(&guest);
}

fn meets(guest: &Guest, Case { name, config, expected }: &Case) {
    match (expected, guest.configure(&config.join("\n"))) {
        (Expected::Refused(words), Err(ConfigureError::Refused(said))) => assert_eq!(said, *words, "{name}"),
        (Expected::Refused(_), Err(error)) => panic!("{name}: failed instead of refusing: {error}"),
        (Expected::Refused(_), Ok(_)) => panic!("{name}: accepted"),
        (Expected::Series(_), Err(error)) => panic!("{name}: {error}"),
        (Expected::Series(series), Ok(filter)) => {
            // Twice: the second time on an instance that has seen them all.
            for Series { labels, verdict } in series.iter().chain(series) {
                let said = filter.apply(&Labels::from_pairs(labels).unwrap()).unwrap();
                assert_eq!(said, verdict.clone().into_verdict(), "{name}: {labels:?}");
            }
        }
    }
}

/// One instance is handed twice its memory in large label sets, and answers each.
fn frees_what_it_was_handed(guest: &Guest) {
    let filter = guest.configure("team checkout- payments\ndrop dev").unwrap();
    let value = "v".repeat(LARGE_SET / 16);
    for call in 0..2 * MEMORY_LIMIT / LARGE_SET {
        let names = (0..15).map(|label| (format!("label_{label}"), value.clone()));
        let service = ("service_name".to_owned(), format!("checkout-{call}"));
        let labels = Labels::from_pairs(names.chain([service])).unwrap();
        let Verdict::Replace(changed) = filter.apply(&labels).unwrap() else { panic!("no team in call {call}") };
        assert_eq!(changed.value("team"), Some("payments"), "{call}");
    }
}

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

    fn configure(&self, config: &str) -> Result<ConfiguredFilter, ConfigureError> {
        let settings = FilterSettings {
            name: "team-label".into(),
            config: config.to_owned(),
            tables: Arc::new(Tables::default()),
            capabilities: Vec::new(),
            timeout: Duration::from_secs(10),
            memory_limit: MEMORY_LIMIT,
            cpu_share: 1.0,
        };
        ConfiguredFilter::new(&self.0, settings)
    }
}

impl ExpectedVerdict {
    fn into_verdict(self) -> Verdict {
        match self {
            Self::Unchanged => Verdict::Unchanged,
            Self::Drop(reason) => Verdict::Drop(reason.into()),
            Self::Labels(labels) => Verdict::Replace(Labels::from_pairs(labels).unwrap()),
        }
    }
}
