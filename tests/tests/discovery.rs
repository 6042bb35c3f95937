//! Targets that are discovered and relabelled, as the API shows them, and what changes them.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use std::collections::BTreeMap;
use std::process::Command;

use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::get;
use flamegate_tests::polling::eventually;
use flamegate_tests::told_server::{Answer, ToldServer};
use serde_json::{Value, json};

#[path = "discovery/docker.rs"]
mod docker;
#[path = "discovery/scraped.rs"]
mod scraped;

/// A target, by the names of its labels.
type Target = BTreeMap<String, String>;

/// What the API shows of a component.
async fn component(flamegate: &Flamegate, id: &str) -> Value {
    let reply = get(&format!("http://{}/api/v0/web/components/{id}", flamegate.admin())).await.unwrap();
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {}", reply.text()))
}

/// One of its exports.
async fn exported(flamegate: &Flamegate, id: &str, export: &str) -> Value {
    let component = component(flamegate, id).await;
    let all = component["exports"].as_array().unwrap_or_else(|| panic!("{component}"));
    all.iter().find(|statement| statement["name"] == export).unwrap()["value"].clone()
}

async fn targets(flamegate: &Flamegate, id: &str, export: &str) -> Vec<Target> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let target = |target: &Value| {
        let fields = target["value"].as_array().unwrap().iter();
        fields.map(|field| (text(&field["key"]), text(&field["value"]["value"]))).collect()
    };
    exported(flamegate, id, export).await["value"].as_array().unwrap().iter().map(target).collect()
}

/// Waits until the targets are such.
async fn becomes(flamegate: &Flamegate, id: &str, export: &str, expected: impl Fn(&[Target]) -> bool) -> Vec<Target> {
    let look = async || Some(targets(flamegate, id, export).await).filter(|targets| expected(targets));
    match eventually(&format!("other targets of {id}"), look).await {
        Ok(targets) => targets,
        Err(error) => {
            panic!("{error}: {:?}\n{}", targets(flamegate, id, export).await, flamegate.logs().join("\n"))
        }
    }
}

fn values(targets: &[Target], name: &str) -> Vec<String> {
    targets.iter().map(|target| target.get(name).cloned().unwrap_or_default()).collect()
}

fn groups(addresses: &[&str]) -> Answer {
    Answer::Json(json!([{ "targets": addresses, "labels": { "__meta_zone": "z" } }]).to_string())
}

const RELABELLED: &str = "discovery.relabel.chosen";

/// Drops those on port 9, and names the zone.
fn relabel(targets: &str) -> String {
    format!(
        r#"
discovery.relabel "chosen" {{
  targets = {targets}

  rule {{
    source_labels = ["__address__"]
    regex         = ".*:9"
    action        = "drop"
  }}

  rule {{
    source_labels = ["__meta_zone"]
    regex         = "(.+)"
    target_label  = "zone"
  }}
}}
"#
    )
}

#[tokio::test]
async fn what_a_server_tells_is_relabelled_and_followed() {
    let server = ToldServer::start(groups(&["a:1", "b:9"])).await.unwrap();
    let url = server.url("/targets");
    let discovery = format!("discovery.http \"web\" {{\n  url = \"{url}\"\n  refresh_interval = \"200ms\"\n}}\n");
    let flamegate = Flamegate::start(&(discovery + &relabel("discovery.http.web.targets")), &[]).await.unwrap();
    let found = becomes(&flamegate, RELABELLED, "output", |targets| values(targets, "__address__") == ["a:1"]).await;
    let expected = [("__address__", "a:1"), ("__meta_url", &url), ("__meta_zone", "z"), ("zone", "z")];
    assert_eq!(found, [expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into()]);
    let rules = exported(&flamegate, RELABELLED, "rules").await;
    assert_eq!(rules["type"], "capsule", "{rules}");
    server.answers(groups(&["c:1", "d:9", "a:1"]));
    becomes(&flamegate, RELABELLED, "output", |targets| values(targets, "__address__") == ["c:1", "a:1"]).await;

    let counted = async || {
        let metrics = flamegate.metrics().await.unwrap();
        metrics.sum("prometheus_sd_http_failures_total", &[("component_id", "discovery.http.web")])
    };
    let failures = async || counted().await.unwrap();
    assert_eq!(failures().await, 0.0);
    for bad in [Answer::Reply(500, String::new()), Answer::Reply(200, "[]".to_owned()), Answer::Silence] {
        let before = failures().await;
        server.answers(bad);
        eventually("failures", async || (failures().await > before).then_some(())).await.unwrap();
        let health = component(&flamegate, "discovery.http.web").await["health"].clone();
        assert_eq!(health["state"], "unhealthy", "{health}");
        assert_eq!(values(&targets(&flamegate, RELABELLED, "output").await, "__address__"), ["c:1", "a:1"]);
    }
    server.answers(groups(&[]));
    becomes(&flamegate, RELABELLED, "output", <[Target]>::is_empty).await;
    flamegate.reload(&relabel("[]")).await.unwrap();
    eventually("no series of who is no more", async || counted().await.is_none().then_some(())).await.unwrap();
}

#[tokio::test]
async fn a_text_behind_a_url_is_followed() {
    let list = |addresses: &[&str]| {
        let targets: Vec<Value> = addresses.iter().map(|address| json!({ "__address__": address })).collect();
        Answer::Reply(200, format!("\n{}\n", json!(targets)))
    };
    let server = ToldServer::start(list(&["a:1", "b:9"])).await.unwrap();
    let remote = |more: &str| {
        let url = server.url("/targets");
        format!(
            "remote.http \"text\" {{\n  url = \"{url}\"\n  poll_frequency = \"300ms\"\n  poll_timeout = \"290ms\"\n{more}}}\n"
        )
    };
    let asking = remote("  method = \"POST\"\n  body = \"which?\"\n  headers = { \"X-A\" = \"b\" }\n");
    let configuration = asking + &relabel("encoding.from_json(remote.http.text.content)");
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    becomes(&flamegate, RELABELLED, "output", |targets| values(targets, "__address__") == ["a:1"]).await;
    let asked = server.asked()[0].clone();
    for part in ["POST /targets HTTP/1.1\r\n", "x-a: b\r\n", "which?"] {
        assert!(asked.contains(part), "{part}: {asked}");
    }
    server.answers(list(&["c:1"]));
    becomes(&flamegate, RELABELLED, "output", |targets| values(targets, "__address__") == ["c:1"]).await;
    let health = async |id: &str, state: &str| {
        let look = async || (component(&flamegate, id).await["health"]["state"] == state).then_some(());
        eventually(state, look).await.unwrap();
    };
    for bad in [Answer::Reply(404, String::new()), Answer::Silence] {
        server.answers(bad);
        health("remote.http.text", "unhealthy").await;
        assert_eq!(values(&targets(&flamegate, RELABELLED, "output").await, "__address__"), ["c:1"]);
        server.answers(list(&["c:1"]));
        health("remote.http.text", "healthy").await;
    }

    let shown = exported(&flamegate, "remote.http.text", "content").await;
    assert!(shown.to_string().contains("c:1"), "{shown}");
    flamegate.reload(&remote("  is_secret = true\n")).await.unwrap();
    let hidden = exported(&flamegate, "remote.http.text", "content").await;
    assert!(!hidden.to_string().contains("c:1") && hidden.to_string().contains("secret"), "{hidden}");

    server.answers(Answer::Reply(503, String::new()));
    let refused = flamegate.reload(&remote("  method = \"PUT\"\n")).await.unwrap_err().to_string();
    assert!(refused.contains("cannot fetch the text: the server answered 503"), "{refused}");
}

#[tokio::test]
async fn a_process_is_found_while_it_runs() {
    let mut sleeping = Command::new("sleep").arg("12345.678").spawn().unwrap();
    let pid = sleeping.id().to_string();
    let configuration = r#"
discovery.process "all" {
  refresh_interval = "100ms"
  join             = [{ "__address__" = "no container" }]
}

discovery.relabel "chosen" {
  targets = discovery.process.all.targets

  rule {
    source_labels = ["__meta_process_commandline"]
    regex         = "sleep 12345\\.678"
    action        = "keep"
  }
}
"#;
    let flamegate = Flamegate::start(configuration, &[]).await.unwrap();
    let found = becomes(&flamegate, RELABELLED, "output", |targets| !targets.is_empty()).await;
    assert_eq!(values(&found, "__process_pid__"), [pid]);
    let all = targets(&flamegate, "discovery.process.all", "targets").await;
    assert!(values(&all, "__address__").contains(&"no container".to_owned()), "{all:?}");
    sleeping.kill().unwrap();
    sleeping.wait().unwrap();
    becomes(&flamegate, RELABELLED, "output", <[Target]>::is_empty).await;
}
