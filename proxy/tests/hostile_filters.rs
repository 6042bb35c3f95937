//! What a filter may do wrong, each done by the filter in `guest-examples/hostile`: the host survives, memory and time
//! stay bounded, others are not hurt, and the metrics name the guilty one.
//!
//! `FLAMEGATE_HOSTILE_COMPONENT` names another build than the one in the repository: `cargo xtask test` rebuilds it
//! from its sources and runs the same tests on that.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a test")]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use flamegate::filters::{
    BreakerState, ConfigureError, ConfiguredFilter, Filter, FilterHost, FilterSettings, Generation, Judged, Module,
    Remember, Rows, Tables, Verdict,
};
use flamegate::telemetry::metrics::{ComponentLabels, Metrics};
use profiler_core::labels::Labels;

#[path = "hostile_filters/logging.rs"]
mod logging;
#[path = "hostile_filters/slow.rs"]
mod slow;
#[path = "hostile_filters/swaps.rs"]
mod swaps;

/// How long something may take that is waited for.
const DEADLINE: Duration = Duration::from_secs(60);
const MEMORY_LIMIT: usize = 16 << 20;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| match std::env::var_os("FLAMEGATE_HOSTILE_COMPONENT") {
    None => include_bytes!("../../guest-examples/hostile.wasm").to_vec(),
    Some(path) => std::fs::read(path).unwrap(),
});
static HOST: LazyLock<FilterHost> = LazyLock::new(FilterHost::default);
static MODULE: LazyLock<Module> = LazyLock::new(|| HOST.load(&BYTES).unwrap().0);

/// A filter with metrics of its own.
struct Bench {
    filter: Filter,
    metrics: Arc<Metrics>,
}

impl Bench {
    fn new(config: &str) -> Self {
        Self::with(settings(config), Remember::default())
    }

    fn with(settings: FilterSettings, remember: Remember) -> Self {
        let metrics = Metrics::new();
        let component = ComponentLabels::top_level(format!("wasm.filter.{}", settings.name).into());
        let generation = Generation::new(&MODULE, settings, remember).unwrap();
        let filter = Filter::new(Arc::new(generation), &HOST, metrics.filter(&component));
        Self { filter, metrics }
    }

    async fn judge(&self, labels: &Labels) -> Result<Verdict, (&'static str, String)> {
        let judged = self.filter.judge(labels).await;
        judged.map(|Judged { verdict, .. }| verdict).map_err(|error| (error.kind(), error.to_string()))
    }

    /// The value of a series of this filter.
    fn metric(&self, name: &str, labels: &str) -> Option<String> {
        let text = self.metrics.text().unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name}{{")) && line.contains(labels))?;
        assert!(line.contains("component_id=\"wasm.filter."), "{line}");
        line.rsplit_once(' ').map(|(_, value)| value.to_owned())
    }
}

fn settings(config: &str) -> FilterSettings {
    FilterSettings {
        name: config.split('=').next().unwrap().into(),
        config: config.to_owned(),
        tables: Arc::default(),
        capabilities: Vec::new(),
        timeout: Duration::from_millis(50),
        memory_limit: MEMORY_LIMIT,
        cpu_share: 1.0,
    }
}

/// Verdicts are kept, as far as the filter allows it.
fn remember() -> Remember {
    Remember { label_sets: Some(10.try_into().unwrap()), deterministic: None }
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).unwrap()
}

/// What a filter does, and how the call ends: the kind of the error, and a part of its words.
const MISDEEDS: [(&str, &str, &str); 14] = [
    ("loop", "timeout", "50ms"),
    ("memory", "memory", "memory_limit of 16777216 bytes"),
    ("recursion", "trap", ""),
    ("wild-write", "trap", "out of bounds"),
    ("panic", "trap", "unreachable"),
    ("labels=4097", "answer", "4097 labels"),
    ("labels=100000", "trap", "fuel"),
    ("value=1048576", "answer", "more than the 1048576 allowed"),
    ("value=3000000", "trap", "fuel"),
    ("duplicates", "answer", "duplicate label name: l"),
    ("patch-duplicates", "answer", "duplicate label name: l"),
    ("empty-name", "answer", "no name"),
    ("not-utf8", "trap", "utf-8"),
    ("lookup=none", "trap", "no table of that name"),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_misdeed_ends_its_call_alone() {
    let good = Bench::new("unchanged");
    let series = labels(&[("service_name", "shop")]);
    for (config, kind, words) in MISDEEDS {
        let bench = Bench::new(config);
        for call in 1..=3 {
            let (found, said) = bench.judge(&series).await.expect_err(config);
            assert_eq!(found, kind, "{config}: {said}");
            assert!(said.to_lowercase().contains(words), "{config}: {said}");
            assert!(said.len() < 1024, "{config}: {} bytes", said.len());
            // Neither another filter nor the next call hears of it.
            assert_eq!(good.judge(&series).await, Ok(Verdict::Unchanged), "after {config}");
            let counted = bench.metric("flamegate_filter_errors_total", &format!("kind=\"{kind}\""));
            assert_eq!(counted, Some(call.to_string()), "{config}");
        }
        let memory = bench.filter.metrics().memory_max.get();
        assert!((1..=MEMORY_LIMIT as i64).contains(&memory), "{config}: {memory}");
        assert!(bench.filter.metrics().instances.get() <= 1, "{config}");
        assert!(bench.filter.seen().last_error.unwrap().1.to_lowercase().contains(words), "{config}");
    }
    assert_eq!(good.metric("flamegate_filter_errors_total", ""), None);
}

#[test]
fn what_cannot_be_configured_does_not_start() {
    for (config, is_refusal, words) in [
        ("configure-loop", false, "longer than its 10s"),
        ("describe-loop", false, "longer than its 10s"),
        ("configure-memory", false, "memory_limit"),
        ("configure-error=3000000", false, "fuel"),
        ("configure-error=100000", true, "xxx"),
        ("kindness", true, "\"kindness\" is no behaviour"),
    ] {
        let error = ConfiguredFilter::new(&MODULE, settings(config)).err().expect(config);
        assert_eq!(matches!(error, ConfigureError::Refused(_)), is_refusal, "{config}: {error}");
        let said = error.to_string();
        assert!(said.contains(words), "{config}: {said}");
        assert!(said.len() <= 4096, "{config}: {} bytes", said.len());
    }
    let described = ConfiguredFilter::new(&MODULE, settings("describe-name=100000")).unwrap().described().clone();
    assert_eq!(described.name, "x".repeat(64));
}

#[tokio::test]
async fn every_tenth_call_traps_and_the_others_do_not() {
    let bench = Bench::new("trap-every=10");
    let mut failed = Vec::new();
    for call in 1..=30 {
        if bench.judge(&labels(&[("call", &call.to_string())])).await.is_err() {
            failed.push(call);
        }
    }
    assert_eq!(failed, [10, 20, 30]);
    assert_eq!(bench.metric("flamegate_filter_calls_total", ""), Some("30".to_owned()));
    assert_eq!(bench.metric("flamegate_filter_call_seconds_count", ""), Some("30".to_owned()));
    assert_eq!(bench.filter.breaker(), BreakerState::Closed);
}

/// What the label `count` of three calls with the same labels is.
async fn counts(config: &str, deterministic: Option<bool>) -> [String; 3] {
    let bench = Bench::with(settings(config), Remember { deterministic, ..remember() });
    let mut counts = [const { String::new() }; 3];
    for count in &mut counts {
        match bench.judge(&labels(&[("a", "b")])).await.unwrap() {
            Verdict::Replace(labels) => *count = labels.value("count").unwrap().to_owned(),
            other => panic!("{other:?}"),
        }
    }
    counts
}

#[tokio::test]
async fn the_configuration_overrules_a_filter_that_lies_about_being_deterministic() {
    assert_eq!(counts("counter", None).await, ["1", "1", "1"]);
    assert_eq!(counts("counter", Some(false)).await, ["1", "2", "3"]);
    assert_eq!(counts("honest-counter", None).await, ["1", "2", "3"]);
    assert_eq!(counts("honest-counter", Some(true)).await, ["1", "1", "1"]);
}

#[tokio::test]
async fn reasons_are_cut() {
    let bench = Bench::new("drop-reason");
    let long = "ä".repeat(1000);
    let verdict = bench.judge(&labels(&[("reason", &long)])).await;
    assert_eq!(verdict, Ok(Verdict::Drop("ä".repeat(32).into())));
}

#[tokio::test]
async fn rows_of_tables_are_looked_up() {
    let target = |pod, team| labels(&[("pod", pod), ("team", team)]);
    let mut tables = Tables::default();
    tables.add("pods", "pod", Rows::new(vec![target("a", "shop"), target("b", "pay")]).unwrap()).unwrap();
    let settings = FilterSettings { tables: Arc::new(tables), ..settings("lookup=pods") };
    let bench = Bench::with(settings, remember());
    let found = bench.judge(&labels(&[("key", "b")])).await;
    assert_eq!(found, Ok(Verdict::Replace(labels(&[("key", "b"), ("pod", "b"), ("team", "pay")]))));
    assert_eq!(bench.judge(&labels(&[("key", "c")])).await, Ok(Verdict::Unchanged));
}
