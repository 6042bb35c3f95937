//! Real files, and what happens to them.

use std::fs;
use std::os::unix::fs::symlink;

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};

use super::super::tests::{context, services, shown};
use super::super::{ADDRESS, DiscoveryFile};
use super::*;
use crate::component::{Component, Services};

struct Running {
    services: Services,
    component: DiscoveryFile,
}

fn build(text: &str, services: &Services, previous: Option<&DiscoveryFile>) -> Result<DiscoveryFile, String> {
    let file = parse_file("test", &format!("file {{\n{text}\n}}")).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    let arguments: DiscoveryFileArguments =
        decode_block(file.body.blocks().next().unwrap(), &scope).map_err(|error| error.to_string())?;
    DiscoveryFile::build(&arguments, &context(services, "discovery.file.a"), previous).map_err(|error| error.message)
}

impl Running {
    /// Follows the files by the file system's word alone.
    fn start(files: &[PathBuf]) -> Self {
        let services = services();
        let component = build(&format!("files = {files:?}\nrefresh_interval = \"1h\""), &services, None).unwrap();
        component.activate();
        Self { services, component }
    }

    fn addresses(&self) -> Vec<String> {
        let targets = self.component.discovered.targets();
        targets.iter().map(|target| target.value(ADDRESS).unwrap().to_owned()).collect()
    }

    /// Waits until the targets are at these addresses.
    async fn finds(&self, addresses: &[&str]) {
        let waiting = async {
            while self.addresses() != addresses {
                self.services.changes.wait().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(20), waiting).await;
        waited.unwrap_or_else(|_| panic!("{:?} are not {addresses:?}", self.addresses()));
    }

    async fn is(&self, word: &str) -> String {
        let waiting = async {
            while !self.component.health().unwrap().message.contains(word) {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), waiting).await.unwrap();
        self.component.health().unwrap().message
    }
}

fn group(addresses: &[&str]) -> String {
    format!("[{{ \"targets\": {addresses:?}, \"labels\": {{ \"zone\": \"1\" }} }}]")
}

#[test]
fn json_and_yaml_say_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let json =
        r#"[{ "targets": ["a:1", "b:1"], "labels": { "env": "dev", "v": "1.10" } }, { "targets": ["c:1"] }, {}]"#;
    let yaml = "---\n# Comments are fine.\n- targets:\n  - a:1\n  - \"b:1\"\n  labels:\n    env: dev\n    v: 1.10\n- targets: [c:1]\n- labels: ~\n";
    let services = services();
    let of = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let component = build(&format!("files = [{path:?}]"), &services, None).unwrap();
        shown(&component.exports())
            .into_iter()
            .map(|shown| shown.replace(path.to_str().unwrap(), "FILE"))
            .collect::<Vec<_>>()
    };
    let expected = [
        r#"{__address__="a:1", __meta_filepath="FILE", env="dev", v="1.10"}"#,
        r#"{__address__="b:1", __meta_filepath="FILE", env="dev", v="1.10"}"#,
        r#"{__address__="c:1", __meta_filepath="FILE"}"#,
    ];
    assert_eq!(of("a.json", json), expected);
    assert_eq!(of("a.JSON", json), expected);
    assert_eq!(of("a.yml", yaml), expected);
    assert_eq!(of("a.yaml", json), expected, "JSON is YAML, too");
    for empty in ["", "null", "[]"] {
        assert!(of("empty.yml", empty).is_empty());
    }
}

#[test]
fn files_that_hold_no_groups_are_told_of() {
    let folder = tempfile::tempdir().unwrap();
    let services = services();
    for (name, text, says) in [
        ("a.json", "[", "a.json: is no list of groups in JSON: EOF"),
        ("a.json", r#"{ "targets": [] }"#, "in JSON: invalid type: map"),
        ("a.json", r#"[{ "target": [] }]"#, "unknown field `target`"),
        ("a.json", r#"[{ "labels": { "a": 1 } }]"#, "expected a string"),
        ("a.json", "[null]", "invalid type: null"),
        ("a.yml", "targets: []", "a.yml: is no list of groups in YAML: line 1: a list of groups was expected"),
        ("a.yml", "- targets: a", "line 1: a list of targets was expected"),
        ("a.yml", "- targets: [[a]]", "a target's address was expected"),
        ("a.yml", "- labels: { a: { b: c } }", "a label's value was expected"),
        ("a.yml", "- a", "a group was expected"),
        ("a.yml", "-\n  port: 1", "line 2: unknown field \"port\""),
        ("a.yml", "- targets: []\n  targets: []", "line 2: \"targets\" stands here twice"),
        ("a.yml", "- labels: { a: 1, a: 2 }", "\"a\" stands here twice"),
        ("a.yml", "- &a targets: []\n- *a", "an alias"),
        ("a.yml", "[]\n---\n[]", "a second document"),
        ("a.yml", "- \"", "line 1"),
        ("a.yml", "\u{0}", "YAML"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let component = build(&format!("files = [{path:?}]"), &services, None).unwrap();
        let health = component.health().unwrap();
        assert!(health.message.contains(says), "{text}: {}", health.message);
        assert!(shown(&component.exports()).is_empty());
    }
    fs::create_dir(folder.path().join("b.json")).unwrap();
    let component = build(&format!("files = [{:?}]", folder.path().join("b.json")), &services, None).unwrap();
    assert!(component.health().unwrap().message.contains("it is no file"));
    fs::write(folder.path().join("c.json"), [0xff]).unwrap();
    let component = build(&format!("files = [{:?}]", folder.path().join("c.json")), &services, None).unwrap();
    assert!(component.health().unwrap().message.contains("is no list"));
}

#[test]
fn arguments_that_cannot_be_used_are_refused() {
    let services = services();
    for (text, says) in [
        ("files = [\"a.txt\"]", "does not end with .json, .yml or .yaml"),
        ("files = [\"*/a.json\"]", "a * in a folder's name"),
        ("files = []\nrefresh_interval = \"0s\"", "longer than 0s"),
    ] {
        let error = build(text, &services, None).err().unwrap();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[tokio::test]
async fn what_becomes_of_a_file_is_followed() {
    let folder = tempfile::tempdir().unwrap();
    let (path, other) = (folder.path().join("a.json"), folder.path().join("other"));
    let running = Running::start(std::slice::from_ref(&path));
    assert!(running.addresses().is_empty());
    fs::write(&path, group(&["a:1"])).unwrap();
    running.finds(&["a:1"]).await;
    // As careful programs write.
    fs::write(&other, group(&["b:1", "c:1"])).unwrap();
    fs::rename(&other, &path).unwrap();
    running.finds(&["b:1", "c:1"]).await;

    fs::write(&path, "[{").unwrap();
    let message = running.is("is no list of groups").await;
    assert!(message.ends_with("the targets of before stay"), "{message}");
    assert_eq!(running.addresses(), ["b:1", "c:1"]);
    fs::write(&path, group(&["d:1"])).unwrap();
    running.finds(&["d:1"]).await;
    running.is("targets are looked for").await;
    fs::remove_file(&path).unwrap();
    running.finds(&[]).await;
}

#[tokio::test]
async fn stars_find_files_as_they_come() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("tg_b.json"), group(&["b:1"])).unwrap();
    fs::write(at("no.json"), group(&["no:1"])).unwrap();
    let running = Running::start(&[at("tg_*.json"), at("sure.yml")]);
    assert_eq!(running.addresses(), ["b:1"]);
    fs::write(at("tg_a.json"), group(&["a:1"])).unwrap();
    running.finds(&["a:1", "b:1"]).await;
    fs::write(at("sure.yml"), "- targets: [s:1]").unwrap();
    running.finds(&["s:1", "a:1", "b:1"]).await;
    fs::write(at("tg_a.json"), "x").unwrap();
    running.is("tg_a.json").await;
    fs::remove_file(at("tg_b.json")).unwrap();
    running.finds(&["s:1", "a:1"]).await;
}

#[tokio::test]
async fn a_swap_of_links_is_seen() {
    // As Kubernetes swaps what is in a ConfigMap.
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for (version, address) in [("..1", "a:1"), ("..2", "b:1")] {
        fs::create_dir(at(version)).unwrap();
        fs::write(at(version).join("a.json"), group(&[address])).unwrap();
    }
    symlink("..1", at("..data")).unwrap();
    symlink("..data/a.json", at("a.json")).unwrap();
    let (one, all) = (Running::start(&[at("a.json")]), Running::start(&[at("*.json")]));
    one.finds(&["a:1"]).await;
    all.finds(&["a:1"]).await;
    symlink("..2", at("..new")).unwrap();
    fs::rename(at("..new"), at("..data")).unwrap();
    one.finds(&["b:1"]).await;
    all.finds(&["b:1"]).await;
}

#[tokio::test]
async fn a_reload_keeps_what_a_bad_file_held() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.json");
    fs::write(&path, group(&["a:1"])).unwrap();
    let services = services();
    let first = build(&format!("files = [{path:?}]"), &services, None).unwrap();
    fs::write(&path, "").unwrap();
    let second = build(&format!("files = [{path:?}]\nrefresh_interval = \"1m\""), &services, Some(&first)).unwrap();
    assert_eq!(shown(&second.exports()).len(), 1);
    assert!(second.health().unwrap().message.contains("EOF"));
}
