//! `flamegate filter`, with the filters that are in the repository as components.

use std::path::{Path, PathBuf};

use flamegate_tests::flamegate::{Ended, Flamegate};
use serde_json::Value;

#[path = "filter/calls.rs"]
mod calls;
#[path = "filter/cases.rs"]
mod cases;
#[path = "filter/profiles.rs"]
mod profiles;
#[path = "filter/project.rs"]
mod project;

async fn filter(folder: &Path, arguments: &[&str]) -> Ended {
    Flamegate::command(folder, &[&["filter"], arguments].concat(), "").await.unwrap()
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-examples").canonicalize().unwrap()
}

/// Fails where a part is missing in what was written.
#[track_caller]
fn says(written: &str, parts: &[&str], context: &str) {
    for part in parts {
        assert!(written.contains(part), "{context}: {part:?} is missing in\n{written}");
    }
}

#[tokio::test]
async fn a_component_is_told_for_people_and_for_programs() {
    let bytes = std::fs::read(examples().join("hostile.wasm")).unwrap();
    let text = filter(&examples(), &["inspect", "hostile.wasm"]).await;
    assert_eq!((text.code, text.stderr.as_str()), (Some(0), ""));
    let record = std::fs::read_to_string(examples().join("hostile.record.toml")).unwrap();
    let digest = record.lines().find_map(|line| line.strip_prefix("sha256 = \"")?.strip_suffix('"')).unwrap();
    let parts = [
        digest,
        "world     labels-filter\n",
        "hostile build-aaaaaaaaaaaa, deterministic",
        "flamegate:filter/log@0.1.0",
    ];
    says(&text.stdout, &parts, "text");

    let found = filter(&examples(), &["inspect", "hostile.wasm", "--format", "json"]).await;
    assert_eq!((found.code, found.stderr.as_str()), (Some(0), ""));
    let found: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!((&found["size"], &found["sha256"]), (&bytes.len().into(), &digest.into()));
    assert_eq!(
        (&found["world"], &found["problems"], &found["error"]),
        (&"labels-filter".into(), &Value::Array(Vec::new()), &Value::Null)
    );
    assert_eq!((&found["filter"]["name"], &found["filter"]["deterministic"]), (&"hostile".into(), &true.into()));
    let exports = ["flamegate:filter/lifecycle@0.1.0", "flamegate:filter/filter-labels@0.1.0"];
    assert_eq!(found["exports"], Value::from(exports.to_vec()));
}

#[tokio::test]
async fn what_is_no_filter_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = std::fs::read(examples().join("hostile.wasm")).unwrap();
    // A name of the same length, wherever it stands: it imports then what no host has.
    let foreign = replaced(&hostile, b"flamegate:filter/log@", b"flamegate:filter/lag@");
    for (name, bytes) in [
        ("module.wasm", &b"\0asm\x01\0\0\0"[..]),
        ("empty.wasm", b""),
        ("text.wasm", b"(component)"),
        ("cut.wasm", &hostile[..hostile.len() / 2]),
        ("foreign.wasm", &foreign),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    for (name, parts) in [
        ("none.wasm", &["cannot read none.wasm", "No such file"][..]),
        (".", &["cannot read .", "it is no file"]),
        ("module.wasm", &["module.wasm: it is a core module, not a component", "wasm-tools component new"]),
        ("empty.wasm", &["empty.wasm: it is no WebAssembly component"]),
        ("text.wasm", &["text.wasm: it is no WebAssembly component"]),
        ("cut.wasm", &["cut.wasm: it is no WebAssembly component"]),
    ] {
        for command in ["inspect", "run"] {
            let ended = filter(folder.path(), &[command, name]).await;
            assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{command} {name}: {ended:?}");
            says(&ended.stderr, parts, name);
        }
    }
    let problem = "it imports flamegate:filter/lag@0.1.0: this host offers version 0.1";
    let told = filter(folder.path(), &["inspect", "foreign.wasm"]).await;
    assert_eq!(told.code, Some(1), "{told:?}");
    says(&told.stdout, &["world     none; it comes next to labels-filter", problem], "inspect");
    let refused = filter(folder.path(), &["run", "foreign.wasm"]).await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    says(&refused.stderr, &["foreign.wasm is no labels-filter", problem], "run");
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let places: Vec<usize> = (0..bytes.len()).filter(|&place| bytes[place..].starts_with(old)).collect();
    assert!(!places.is_empty());
    for place in places {
        bytes[place..place + old.len()].copy_from_slice(new);
    }
    bytes
}
