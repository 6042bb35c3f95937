//! The component with the filter of `guest-examples/hostile`, which does what its configuration says.

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Instant;

use alloy_syntax::{Scope, StdlibOptions, ast, decode_block, parse_file};
use profiler_core::labels::Labels;

use super::*;
use crate::component::{HealthState, Services};
use crate::components::sink::Sink;
use crate::filters::{Digest, FilterHost};
use crate::pipeline::{Batch, Body, Origin, Profile, PushError, Share, Stage};
use crate::telemetry::traces::Trace;

const DEADLINE: Duration = Duration::from_secs(60);
const HOSTILE: &[u8] = include_bytes!("../../../../guest-examples/hostile.wasm");
/// The word by which one build of the filter tells itself from others.
const BUILD: &str = "build-aaaaaaaaaaaa";
const OTHER_BUILD: &str = "build-bbbbbbbbbbbb";

mod profiles;
mod recordings;

/// Compiled once for all tests.
static HOST: LazyLock<FilterHost> = LazyLock::new(FilterHost::default);

struct Bench {
    services: Services,
    sink: Arc<Sink>,
    folder: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("filter.wasm"), HOSTILE).unwrap();
        let services = Services::new(folder.path().join("data"), HOST.clone());
        Self { services, sink: Arc::default(), folder }
    }

    fn module(&self) -> PathBuf {
        self.folder.path().join("filter.wasm")
    }

    /// Puts another file in the module's place, as tools do that care.
    fn replace_module(&self, bytes: &[u8]) {
        std::fs::write(self.folder.path().join("new"), bytes).unwrap();
        std::fs::rename(self.folder.path().join("new"), self.module()).unwrap();
    }

    fn arguments(&self, body: &str) -> Result<WasmFilterArguments, String> {
        let module = self.module();
        let block = format!(
            "filter \"x\" {{\n\tmodule = {:?}\n\tforward_to = [sink]\n{body}\n}}\n",
            module.display().to_string()
        );
        let file = parse_file("test.alloy", &block).unwrap();
        let receiver = Receiver::new("sink".into(), self.sink.clone());
        let scope = Scope::stdlib(&StdlibOptions::default()).with("sink", Value::Capsule(Capsule::new(receiver)));
        let block: &ast::Block = file.body.blocks().next().unwrap();
        decode_block(block, &scope).map_err(|error| error.to_string())
    }

    fn try_build(&self, body: &str, previous: Option<&WasmFilter>) -> Result<WasmFilter, Invalid> {
        let arguments = self.arguments(body).unwrap();
        let component = ComponentLabels::top_level("wasm.filter.x".into());
        WasmFilter::build(&arguments, &Context { component, services: &self.services }, previous)
    }

    /// Built and in its place.
    fn start(&self, body: &str, previous: Option<&WasmFilter>) -> WasmFilter {
        let built = self.try_build(body, previous).map_err(|invalid| invalid.message).unwrap();
        built.activate();
        built
    }

    /// What the sender hears, and what went on.
    async fn push(&self, filter: &WasmFilter, labels: &[(&str, &str)]) -> (Option<String>, Option<String>) {
        let (error, went_on) = self.push_body(filter, labels, Body::Pprof(Arc::default())).await;
        (error.map(|error| error.to_string()), went_on.map(|profile| profile.labels.to_string()))
    }

    async fn push_body(
        &self,
        filter: &WasmFilter,
        labels: &[(&str, &str)],
        body: Body,
    ) -> (Option<PushError>, Option<Profile>) {
        let labels = Labels::from_pairs(labels.iter().copied()).unwrap();
        let origin = Origin {
            arrived: std::time::SystemTime::now(),
            trace: Trace::default(),
            forwarded: http::HeaderMap::new(),
            memory: Share::unbounded(),
        };
        let profile = Profile::new(labels, body, Arc::new(origin));
        let outcome = filter.stage.push(Batch { profiles: vec![profile] }).await;
        (outcome.worst().cloned(), self.sink.profiles().pop())
    }

    /// Pushes until this goes on.
    async fn until(&self, filter: &WasmFilter, wanted: &str) {
        let began = Instant::now();
        loop {
            let (error, went_on) = self.push(filter, &[("a", "b")]).await;
            assert_eq!(error, None);
            if went_on.as_deref() == Some(wanted) {
                return;
            }
            assert!(began.elapsed() < DEADLINE, "{went_on:?} instead of {wanted}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn other_build() -> Vec<u8> {
    let at = HOSTILE.windows(BUILD.len()).position(|window| window == BUILD.as_bytes()).unwrap();
    let mut bytes = HOSTILE.to_vec();
    bytes[at..at + BUILD.len()].copy_from_slice(OTHER_BUILD.as_bytes());
    bytes
}

fn built_by(build: &str) -> String {
    format!(r#"{{a="b", build="{build}"}}"#)
}

async fn until_health(filter: &WasmFilter, wanted: HealthState) -> Health {
    let began = Instant::now();
    loop {
        let health = Component::health(filter).unwrap();
        if health.state == wanted {
            return health;
        }
        assert!(began.elapsed() < DEADLINE, "{health:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_becomes_of_a_profile_without_a_verdict_is_for_the_user_to_say() {
    let bench = Bench::new();
    let series = [("a", "b")];
    let unchanged = Some(r#"{a="b"}"#.to_owned());
    for (on_error, expected, dropped) in [
        ("", None, 0),
        ("on_error = \"fail\"", None, 0),
        ("on_error = \"pass\"", unchanged, 0),
        ("on_error = \"drop\"", None, 1),
    ] {
        let filter = bench.start(&format!("config = \"panic\"\n{on_error}"), None);
        let (error, went_on) = bench.push(&filter, &series).await;
        let fails = on_error.is_empty() || on_error.contains("fail");
        assert_eq!(error.is_some(), fails, "{on_error}");
        if let Some(error) = error {
            assert!(error.starts_with("wasm.filter.x: the filter trapped: "), "{error}");
        }
        assert_eq!(went_on, expected, "{on_error}");
        let text = bench.services.metrics.text().unwrap();
        let reason = text.lines().find(|line| line.contains(r#"reason="filter_error""#));
        assert_eq!(reason.is_some(), dropped > 0, "{on_error}");
        Component::stop(&filter).await;
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    let bench = Bench::new();
    for (body, words) in [
        ("timeout = \"0s\"", "longer than 0s"),
        ("timeout = \"11s\"", "at most 10s"),
        ("memory_limit = \"257MiB\"", "at most 256MiB"),
        ("cache_size = -1", "must not be negative"),
        ("cpu_share = 0", "greater than 0"),
        ("cpu_share = 1.5", "at most 1"),
        ("capabilities = [\"network\"]", "\"network\" cannot be granted"),
        ("on_error = \"retry\"", "write \"fail\", \"pass\" or \"drop\""),
        ("on_unsupported = \"drop\"", "write \"pass\" or \"fail\""),
        ("sha256 = \"abc\"", "64 hexadecimal digits"),
        ("table \"t\" {\n\ttargets = []\n\tkey = \"\"\n}", "name the label by which"),
    ] {
        let error = bench.arguments(body).expect_err(body);
        assert!(error.contains(words), "{body}: {error}");
    }
}

#[test]
fn a_module_that_cannot_run_does_not_start() {
    let bench = Bench::new();
    let refusal = |body: &str| bench.try_build(body, None).err().expect(body);
    let digest = Digest::of(HOSTILE);
    assert!(bench.try_build(&format!("sha256 = \"{digest}\"\nconfig = \"unchanged\""), None).is_ok());
    let other = refusal(&format!("sha256 = \"{}\"", Digest::of(b"")));
    assert_eq!(other.attribute, Some("sha256"));
    assert!(other.message.contains(&digest.to_string()), "{}", other.message);
    let config = refusal("config = \"kindness\"");
    assert_eq!(config.attribute, Some("config"));
    assert!(config.message.contains("\"kindness\" is no behaviour"), "{}", config.message);
    let twice = "table \"t\" {\n\ttargets = []\n\tkey = \"a\"\n}\n";
    assert!(refusal(&format!("config = \"unchanged\"\n{twice}{twice}")).message.contains("two tables called \"t\""));
    for (bytes, words) in [
        (b"\0asm\x01\0\0\0".as_slice(), "not a WebAssembly component"),
        (b"neither", "not a WebAssembly component"),
        (b"\0asm\x0d\0\x01\0", "exports none of flamegate:filter"),
    ] {
        bench.replace_module(bytes);
        let module = refusal("");
        assert_eq!(module.attribute, Some("module"));
        assert!(module.message.contains(words), "{}", module.message);
    }
    std::fs::remove_file(bench.module()).unwrap();
    assert!(refusal("").message.contains("No such file"));
}

#[tokio::test]
async fn a_changed_module_takes_over_and_a_bad_one_does_not() {
    let bench = Bench::new();
    let filter = bench.start("config = \"build\"", None);
    bench.until(&filter, &built_by(BUILD)).await;
    bench.replace_module(&other_build());
    bench.until(&filter, &built_by(OTHER_BUILD)).await;
    assert_eq!(filter.stage.filter.metrics().swaps.count(), 1);

    bench.replace_module(b"no module");
    let health = until_health(&filter, HealthState::Unhealthy).await;
    assert!(health.message.contains("not a WebAssembly component"), "{}", health.message);
    bench.until(&filter, &built_by(OTHER_BUILD)).await;
    assert_eq!(filter.stage.filter.metrics().swaps_refused.count(), 1);

    // The same settings with another receiver: what is wrong with the file is still known.
    let again = bench.start("config = \"build\"\non_error = \"pass\"", Some(&filter));
    Component::stop(&filter).await;
    assert_eq!(Component::health(&again).unwrap().state, HealthState::Unhealthy);
    bench.until(&again, &built_by(OTHER_BUILD)).await;

    bench.replace_module(HOSTILE);
    bench.until(&again, &built_by(BUILD)).await;
    until_health(&again, HealthState::Healthy).await;
    Component::stop(&again).await;
}

#[tokio::test]
async fn another_file_than_the_one_of_the_digest_is_never_taken() {
    let bench = Bench::new();
    let filter = bench.start(&format!("config = \"build\"\nsha256 = \"{}\"", Digest::of(HOSTILE)), None);
    bench.replace_module(&other_build());
    let health = until_health(&filter, HealthState::Unhealthy).await;
    assert!(health.message.contains("sha256 says"), "{}", health.message);
    bench.until(&filter, &built_by(BUILD)).await;
    Component::stop(&filter).await;
}

#[tokio::test]
async fn tables_change_while_the_file_is_bad() {
    let bench = Bench::new();
    let table = |team: &str| {
        format!(
            "config = \"lookup=pods\"\ntable \"pods\" {{\n\ttargets = [{{a = \"1\", team = \"{team}\"}}]\n\tkey = \"a\"\n}}"
        )
    };
    let series = [("key", "1")];
    let found = |team: &str| (None, Some(format!(r#"{{a="1", key="1", team="{team}"}}"#)));
    let first = bench.start(&table("shop"), None);
    assert_eq!(bench.push(&first, &series).await, found("shop"));
    bench.replace_module(b"no module");
    let second = bench.start(&table("pay"), Some(&first));
    assert_eq!(bench.push(&second, &series).await, found("pay"), "no verdict on the rows of before");
    assert_eq!(Component::health(&second).unwrap().state, HealthState::Unhealthy);
    // With another configuration the file's own fault is what the user must hear.
    let refused = bench.try_build("config = \"kindness\"", Some(&second)).err().unwrap();
    assert!(refused.message.contains("not a WebAssembly component"), "{}", refused.message);
    Component::stop(&first).await;
    Component::stop(&second).await;
}

#[tokio::test]
async fn it_shows_what_runs_and_what_went_wrong() {
    let bench = Bench::new();
    let filter = bench.start("config = \"trap-every=1\"", None);
    assert!(bench.push(&filter, &[("a", "b")]).await.0.is_some());
    let info = Component::debug_info(&filter).unwrap();
    let fields = info.fields().unwrap();
    let text = |name: &str| fields[name].as_str().unwrap().to_owned();
    assert_eq!(text("module"), bench.module().display().to_string());
    assert_eq!(text("sha256"), Digest::of(HOSTILE).to_string());
    assert_eq!((text("name"), text("version"), text("state")), ("hostile".into(), BUILD.into(), "asked".into()));
    assert!(text("last_error").contains("trapped"), "{}", text("last_error"));
    Component::stop(&filter).await;
}
