//! Filters in the real binary: compiled by a child, kept on disk, and never taken from disk unless they are ours.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::path::{Path, PathBuf};

use flamegate_tests::backend::Backend;
use flamegate_tests::blocks;
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::good_push;

const RELABEL: &str = "pyroscope.relabel.default";
const ENRICH: &str = "pyroscope.enrich.default";
const FILTER: &str = "wasm.filter.default";

/// The word by which the build in the repository tells itself from others, and another of the same length.
const BUILD: &str = "build-aaaaaaaaaaaa";
const OTHER_BUILD: &str = "build-bbbbbbbbbbbb";

/// Rules, then a filter that says which build of it this is.
fn configuration(backend: &Backend, module: &Path) -> String {
    format!(
        r#"
pyroscope.receive_http "default" {{
    http {{
        listen_address = "127.0.0.1"
        listen_port    = 0
    }}
    forward_to = [{RELABEL}.receiver]
}}
pyroscope.relabel "default" {{
    rule {{
        target_label = "env"
        replacement  = "prod"
    }}
    forward_to = [{FILTER}.receiver]
}}
wasm.filter "default" {{
    module     = {module:?}
    config     = "build"
    forward_to = [pyroscope.write.default.receiver]
}}
"#
    ) + &blocks::write("default", &[backend.url()], "")
}

/// How often machine code was had from there, for both filters.
async fn loads(flamegate: &Flamegate, from: &str) -> [f64; 2] {
    let metrics = flamegate.metrics().await.unwrap();
    [RELABEL, FILTER].map(|component| {
        metrics.sum("flamegate_filter_loads_total", &[("component_id", component), ("from", from)]).unwrap_or_default()
    })
}

/// Sends a profile; what the backend got then, as text.
async fn push(flamegate: &Flamegate, backend: &Backend) -> String {
    let url = format!("http://{}", flamegate.listener("pyroscope.receive_http.default").await.unwrap());
    let reply = PushClient::CONNECT.push(&url, &good_push()).await.unwrap();
    assert!(reply.error.is_none(), "{:?}", reply.error);
    let received = backend.received();
    format!("{:?}", received.last().unwrap())
}

async fn serves(flamegate: &Flamegate, backend: &Backend) {
    let labels = push(flamegate, backend).await;
    for part in [BUILD, "prod"] {
        assert!(labels.contains(part), "{labels}");
    }
}

fn committed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples/hostile.wasm").canonicalize().unwrap()
}

fn compiled(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join("data/compiled-filters")).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|extension| extension == "cwasm")).collect()
}

#[tokio::test]
async fn code_is_kept_and_what_was_tampered_with_is_compiled_again() {
    let backend = Backend::start().await.unwrap();
    let configuration = configuration(&backend, &committed());
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    serves(&flamegate, &backend).await;
    assert_eq!(loads(&flamegate, "compiler").await, [1.0, 1.0]);
    assert_eq!(loads(&flamegate, "disk").await, [0.0, 0.0]);

    let folder = flamegate.into_folder(DEADLINE).await.unwrap();
    assert_eq!(compiled(folder.path()).len(), 2);
    let flamegate = Flamegate::start_in(folder, &configuration, &[]).await.unwrap();
    serves(&flamegate, &backend).await;
    assert_eq!(loads(&flamegate, "compiler").await, [0.0, 0.0]);
    assert_eq!(loads(&flamegate, "disk").await, [1.0, 1.0]);

    let folder = flamegate.into_folder(DEADLINE).await.unwrap();
    for file in compiled(folder.path()) {
        let mut bytes = std::fs::read(&file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    let flamegate = Flamegate::start_in(folder, &configuration, &[]).await.unwrap();
    serves(&flamegate, &backend).await;
    assert_eq!(loads(&flamegate, "compiler_for_tampered").await, [1.0, 1.0]);
    let said = flamegate.logs().into_iter().filter(|line| line.contains("not kept by us")).count();
    assert_eq!(said, 2);
    drop(flamegate);
}

#[tokio::test]
async fn another_module_takes_over_while_profiles_come() {
    let backend = Backend::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let module = folder.path().join("filter.wasm");
    std::fs::copy(committed(), &module).unwrap();
    let flamegate = Flamegate::start(&configuration(&backend, &module), &[]).await.unwrap();
    serves(&flamegate, &backend).await;

    let mut bytes = std::fs::read(&module).unwrap();
    let at = bytes.windows(BUILD.len()).position(|window| window == BUILD.as_bytes()).unwrap();
    bytes[at..at + BUILD.len()].copy_from_slice(OTHER_BUILD.as_bytes());
    std::fs::write(&module, bytes).unwrap();
    let other_build = async || push(&flamegate, &backend).await.contains(OTHER_BUILD).then_some(());
    eventually("a profile that the other build has seen", other_build).await.unwrap();

    std::fs::write(&module, "no module").unwrap();
    flamegate.wait_for_log("the changed module is refused", DEADLINE).await.unwrap();
    assert!(push(&flamegate, &backend).await.contains(OTHER_BUILD));
    let metrics = flamegate.metrics().await.unwrap();
    let labels = [("component_id", FILTER)];
    assert_eq!(metrics.sum("flamegate_filter_swaps_total", &labels), Some(1.0));
    assert_eq!(metrics.sum("flamegate_filter_swaps_refused_total", &labels), Some(1.0));
}

/// Targets of a file, which discovery of another kind may write.
fn enriching(backend: &Backend, targets: &Path) -> String {
    format!(
        r#"
local.file "targets" {{
    filename = {targets:?}
}}
pyroscope.receive_http "default" {{
    http {{
        listen_address = "127.0.0.1"
        listen_port    = 0
    }}
    forward_to = [{ENRICH}.receiver]
}}
pyroscope.enrich "default" {{
    targets              = encoding.from_json(local.file.targets.content)
    target_match_label   = "app"
    profiles_match_label = "service_name"
    labels_to_copy       = ["team"]
    forward_to           = [pyroscope.write.default.receiver]
}}
"#
    ) + &blocks::write("default", &[backend.url()], "")
}

/// The service that the profile of `push` is of, and its team.
fn owned_by(team: &str) -> String {
    serde_json::json!([{ "app": "shop", "team": team, "region": "nowhere" }]).to_string()
}

#[tokio::test]
async fn profiles_get_the_labels_of_targets_as_they_come_and_change() {
    let backend = Backend::start().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let targets = folder.path().join("targets.json");
    std::fs::write(&targets, "[]").unwrap();
    let flamegate = Flamegate::start(&enriching(&backend, &targets), &[]).await.unwrap();
    let before = push(&flamegate, &backend).await;
    assert!(before.contains("shop") && !before.contains("team"), "{before}");

    for team in ["team-of-before", "team-of-after"] {
        std::fs::write(&targets, owned_by(team)).unwrap();
        let enriched = async || push(&flamegate, &backend).await.contains(team).then_some(());
        eventually("a profile with its target's team", enriched).await.unwrap();
        let labels = push(&flamegate, &backend).await;
        assert!(!labels.contains("region"), "{labels}");
    }
    assert!(!push(&flamegate, &backend).await.contains("team-of-before"));

    // What is no list of targets leaves those of before.
    std::fs::write(&targets, "{}").unwrap();
    flamegate.wait_for_log("the component goes on with its last arguments", DEADLINE).await.unwrap();
    assert!(push(&flamegate, &backend).await.contains("team-of-after"));
    let metrics = flamegate.metrics().await.unwrap();
    let hits = metrics.sum("flamegate_filter_cache_hits_total", &[("component_id", ENRICH)]);
    assert!(hits > Some(0.0), "{hits:?}");
}
