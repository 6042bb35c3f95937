//! Looking at the profiles that pass: over HTTP, as a page, and by the command.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use bytes::Bytes;
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::{Reply, get};
use flamegate_tests::polling::eventually;
use flamegate_tests::pprof::ProfileBuilder;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::RECEIVE;
use serde_json::{Value, json};

#[path = "tap/command.rs"]
mod command;
#[path = "tap/page.rs"]
mod page;

const RELABEL: &str = "pyroscope.relabel.main";
const VIEW: &str = "profiles.view.default";

/// Drops what is `gone`, sets the team, takes a label away.
const RULES: &str = r#"
  rule {
    source_labels = ["pod"]
    regex         = "gone"
    action        = "drop"
  }
  rule {
    target_label = "team"
    replacement  = "pay"
  }
  rule {
    regex  = "secret"
    action = "labeldrop"
  }
"#;

/// A receiver, rules, and a view behind them.
fn pipeline(rules: &str) -> String {
    let receive = ReceiveHttp { label: "default", ..ReceiveHttp::default() }.block();
    let receive = receive.replace("forward_to = []", "forward_to = [pyroscope.relabel.main.receiver]");
    let relabel =
        format!("pyroscope.relabel \"main\" {{\n  forward_to = [profiles.view.default.receiver]\n{rules}}}\n");
    format!("profiles.view \"default\" {{ }}\n{relabel}{receive}")
}

struct Running {
    flamegate: Flamegate,
    receiver: String,
}

impl Running {
    async fn start(configuration: &str) -> Self {
        let flamegate = Flamegate::start(configuration, &[]).await.unwrap();
        let receiver = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
        Self { flamegate, receiver }
    }

    async fn push(&self, labels: &[(&str, &str)]) {
        PushClient::CONNECT.push(&self.receiver, &PushRequest::one(labels, profile())).await.unwrap();
    }

    async fn get(&self, path: &str) -> Reply {
        get(&format!("http://{}{path}", self.flamegate.admin())).await.unwrap()
    }

    /// What passes from now on.
    async fn tap(&self, query: &str) -> Tap {
        let admin = self.flamegate.admin();
        let mut connection = RawConnection::open(admin).await.unwrap();
        let request = format!("GET /api/v0/web/tap?{query} HTTP/1.1\r\nHost: {admin}\r\n\r\n");
        connection.send(request).await.unwrap();
        assert_eq!(connection.wait_for_line("HTTP/1.1").await.unwrap(), "HTTP/1.1 200 OK");
        Tap(connection)
    }
}

/// Lines of JSON.
struct Tap(RawConnection);

impl Tap {
    async fn next(&mut self) -> Value {
        serde_json::from_str(&self.0.wait_for_line("{").await.unwrap()).unwrap()
    }
}

fn profile() -> Bytes {
    ProfileBuilder::cpu().sample(&["burn", "main"], &[7], &[]).gzip().unwrap()
}

fn shop(pod: &str) -> [(&str, &str); 4] {
    [("__name__", "process_cpu"), ("service_name", "shop"), ("pod", pod), ("secret", "x")]
}

#[tokio::test]
async fn labels_are_told_before_and_after_and_what_became_of_each() {
    let running = Running::start(&pipeline(RULES)).await;
    let mut tap = running.tap(&format!("component={RELABEL}")).await;
    running.push(&shop("a")).await;
    running.push(&shop("gone")).await;
    let passed = tap.next().await;
    // The receiver gives a series without a name of an application one.
    let before = json!({"__name__": "process_cpu", "app_name": "process_cpu", "service_name": "shop", "pod": "a", "secret": "x"});
    let after = json!({"__name__": "process_cpu", "app_name": "process_cpu", "service_name": "shop", "pod": "a", "team": "pay"});
    assert_eq!((&passed["before"], &passed["after"]), (&before, &after));
    assert_eq!(
        (&passed["component"], &passed["outcome"], &passed["taken"]),
        (&json!(RELABEL), &json!("passed"), &json!(1))
    );
    assert_eq!((&passed["format"], &passed["sample_types"]), (&json!("pprof"), &json!(["cpu"])));
    assert_eq!((&passed["bytes"], &passed["profiles"]), (&json!(profile().len()), &json!(1)));
    let dropped = tap.next().await;
    assert_eq!((&dropped["before"]["pod"], &dropped["outcome"]), (&json!("gone"), &json!("dropped")));
    assert!(dropped.get("after").is_none() && !dropped["reason"].as_str().unwrap().is_empty(), "{dropped}");
}

#[tokio::test]
async fn every_component_on_the_way_is_told_where_none_is_named() {
    let nobody = "http://127.0.0.1:1";
    let labels = "external_labels = { zone = \"north\" }\n}";
    let write = blocks::write("away", &[nobody.to_owned()], "max_backoff_retries = 1");
    let write = format!("{}\n{labels}\n", write.trim_end().strip_suffix('}').unwrap());
    let to = "forward_to = [profiles.view.default.receiver, pyroscope.write.away.receiver]";
    let configuration = pipeline(RULES).replace("forward_to = [profiles.view.default.receiver]", to);
    let running = Running::start(&format!("{write}{configuration}")).await;
    let mut tap = running.tap("").await;
    running.push(&shop("a")).await;
    let mut rows = std::collections::BTreeMap::new();
    while rows.len() < 4 {
        let row = tap.next().await;
        rows.insert(row["component"].as_str().unwrap().to_owned(), row);
    }
    let has = |component: &str, end: &str| rows[component].get(end).is_some();
    assert_eq!((has(RECEIVE, "before"), has(RECEIVE, "after")), (false, true));
    assert_eq!((has(RELABEL, "before"), has(RELABEL, "after")), (true, true));
    assert_eq!((has(VIEW, "before"), has(VIEW, "after")), (true, false));
    assert_eq!(rows[VIEW]["before"], rows[RELABEL]["after"]);
    // As its endpoints are told them.
    let sent = &rows["pyroscope.write.away"];
    assert_eq!((&sent["before"], &sent["after"]["zone"]), (&rows[RELABEL]["after"], &json!("north")));
    assert!(sent["before"].get("zone").is_none(), "{sent}");
    let outcome = |component: &str| rows[component]["outcome"].as_str().unwrap().to_owned();
    assert_eq!(outcome(VIEW), "passed");
    for component in ["pyroscope.write.away", RELABEL, RECEIVE] {
        assert_eq!(outcome(component), "failed");
        assert!(rows[component]["reason"].as_str().unwrap().contains("refused"), "{}", rows[component]);
    }
}

#[tokio::test]
async fn a_selector_looks_at_labels_before_and_after() {
    let running = Running::start(&pipeline(RULES)).await;
    let of = async |selector: &str| {
        let labels: String = form_urlencoded(selector);
        running.tap(&format!("component={RELABEL}&labels={labels}")).await
    };
    let (mut by_pod, mut by_team, mut by_secret) =
        (of(r#"{pod="b"}"#).await, of(r#"team="pay""#).await, of(r#"{secret="x", pod!="a"}"#).await);
    for pod in ["a", "b"] {
        running.push(&shop(pod)).await;
    }
    assert_eq!(by_pod.next().await["before"]["pod"], "b");
    assert_eq!(by_secret.next().await["before"]["pod"], "b");
    assert_eq!(by_team.next().await["before"]["pod"], "a");
    assert_eq!(by_team.next().await["before"]["pod"], "b");
}

fn form_urlencoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[tokio::test]
async fn a_tap_follows_the_component_of_the_same_path_over_reloads() {
    let running = Running::start(&pipeline(RULES)).await;
    let mut tap = running.tap(&format!("component={RELABEL}")).await;
    running.push(&shop("a")).await;
    assert_eq!(tap.next().await["after"]["team"], "pay");
    running.flamegate.reload(&pipeline(&RULES.replace("pay", "ship"))).await.unwrap();
    running.push(&shop("a")).await;
    assert_eq!(tap.next().await["after"]["team"], "ship");
    // Gone, and back.
    let direct = pipeline("").replace("pyroscope.relabel.main", "profiles.view.default");
    let without: String = direct.split_inclusive("}\n").filter(|block| !block.contains("pyroscope.relabel")).collect();
    running.flamegate.reload(&without).await.unwrap();
    running.push(&shop("unseen")).await;
    running.flamegate.reload(&pipeline(RULES)).await.unwrap();
    running.push(&shop("b")).await;
    let back = tap.next().await;
    assert_eq!((&back["before"]["pod"], &back["after"]["team"]), (&json!("b"), &json!("pay")));
}

#[tokio::test]
async fn who_reads_slowly_holds_up_nobody_and_is_told_what_it_missed() {
    let running = Running::start(&pipeline(RULES)).await;
    let mut slow = running.tap(&format!("component={RELABEL}")).await;
    // More than the sockets' buffers and the tap's queue hold together.
    let long = "x".repeat(250_000);
    let pushed = 200;
    for number in 0..pushed {
        running.push(&[("service_name", "shop"), ("long", &long), ("number", &number.to_string())]).await;
    }
    let (mut rows, mut missed) = (0, 0);
    while rows + missed < pushed {
        let line = slow.next().await;
        match line["missed"].as_u64() {
            Some(more) => missed += more,
            None => rows += 1,
        }
    }
    assert!(missed > 0 && rows > 0, "{rows} rows, {missed} missed");
    assert_eq!(rows + missed, pushed);
}

#[tokio::test]
async fn components_inside_of_another_are_looked_at_together() {
    let module = "declare \"marked\" {\n  argument \"to\" { }\n  pyroscope.relabel \"inner\" {\n    \
                  forward_to = argument.to.value\n    rule {\n      target_label = \"mark\"\n      replacement = \"yes\"\n    }\n  }\n  \
                  export \"receiver\" { value = pyroscope.relabel.inner.receiver }\n}\n\
                  marked \"a\" { to = [profiles.view.default.receiver] }\n";
    let configuration =
        pipeline(RULES).replace("forward_to = [profiles.view.default.receiver]", "forward_to = [marked.a.receiver]");
    let running = Running::start(&format!("{module}{configuration}")).await;
    let mut tap = running.tap("component=marked.a").await;
    running.push(&shop("a")).await;
    let row = tap.next().await;
    assert_eq!((&row["component"], &row["after"]["mark"]), (&json!("marked.a/pyroscope.relabel.inner"), &json!("yes")));
}

#[tokio::test]
async fn what_cannot_be_looked_at_is_said() {
    let running = Running::start(&pipeline(RULES)).await;
    let refused = async |query: &str| {
        let reply = running.get(&format!("/api/v0/web/tap?{query}")).await;
        (reply.status.as_u16(), reply.text())
    };
    let (status, text) = refused("component=pyroscope.relabel.other").await;
    assert!(status == 404 && text.contains(RELABEL), "{status} {text}");
    let (status, text) = refused("labels=%7Bpod").await;
    assert!(status == 400 && text.contains("a label's name expected"), "{status} {text}");
    running.flamegate.reload(&format!("livedebugging {{ enabled = false }}\n{}", pipeline(RULES))).await.unwrap();
    let (status, text) = refused("").await;
    assert!(status == 403 && text.contains("livedebugging"), "{status} {text}");
    assert_eq!(running.get("/tap").await.status, 403);
    running.flamegate.reload(&format!("livedebugging {{ enabled = true }}\n{}", pipeline(RULES))).await.unwrap();
    let mut tap = running.tap("").await;
    running.push(&shop("a")).await;
    assert_eq!(tap.next().await["outcome"], "passed");
}

#[tokio::test]
async fn taps_are_bounded_and_end_with_those_who_look() {
    let running = Running::start(&pipeline(RULES)).await;
    let admin = running.flamegate.admin();
    let ask = async || {
        let mut connection = RawConnection::open(admin).await.unwrap();
        connection.send(format!("GET /api/v0/web/tap HTTP/1.1\r\nHost: {admin}\r\n\r\n")).await.unwrap();
        let status = connection.wait_for_line("HTTP/1.1").await.unwrap();
        (status, connection)
    };
    let mut open = Vec::new();
    let full = loop {
        let (status, connection) = ask().await;
        if status != "HTTP/1.1 200 OK" {
            break status;
        }
        open.push(connection);
        assert!(open.len() < 100);
    };
    assert!(full.contains("503"), "{full}");
    open.clear();
    eventually("a tap is free again", async || (ask().await.0 == "HTTP/1.1 200 OK").then_some(())).await.unwrap();
}
