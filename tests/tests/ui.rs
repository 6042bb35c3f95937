//! The pages for people, over HTTP and with the real binary.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

use bytes::Bytes;
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::{Reply, get, post, send};
use flamegate_tests::network::{Host, Network};
use flamegate_tests::polling::eventually;
use flamegate_tests::pprof::ProfileBuilder;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::PushClient;
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::RECEIVE;
use http::Method;
use profiler_core::pprof::Profile;

#[path = "ui/browser.rs"]
mod browser;

const VIEW: &str = "profiles.view \"default\" { }\n";

/// A receiver that sends to a view, and to whatever else.
fn pipeline(besides: &str, others: &str) -> String {
    let receive = ReceiveHttp { label: "default", ..ReceiveHttp::default() }.block();
    let to = format!("forward_to = [{others}profiles.view.default.receiver]");
    format!("{besides}{VIEW}{}", receive.replace("forward_to = []", &to))
}

struct Running {
    flamegate: Flamegate,
    receiver: String,
}

impl Running {
    async fn start(configuration: &str, flags: &[&str]) -> Self {
        let flamegate = Flamegate::start(configuration, flags).await.unwrap();
        let receiver = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
        Self { flamegate, receiver }
    }

    async fn push(&self, labels: &[(&str, &str)], profile: Bytes) {
        PushClient::CONNECT.push(&self.receiver, &PushRequest::one(labels, profile)).await.unwrap();
    }

    async fn get(&self, path: &str) -> Reply {
        get(&format!("http://{}{path}", self.flamegate.admin())).await.unwrap()
    }
}

fn shop(pod: &str) -> [(&str, &str); 3] {
    [("__name__", "process_cpu"), ("service_name", "shop"), ("pod", pod)]
}

fn burning(function: &str, value: i64) -> Bytes {
    ProfileBuilder::cpu().sample(&[function, "main"], &[value], &[]).gzip().unwrap()
}

/// What stands in a section of a page, without its tags.
fn section(reply: &Reply, id: &str) -> String {
    let page = reply.text();
    let begin = page.find(&format!("<section id=\"{id}\"")).unwrap_or_else(|| panic!("no section {id} in {page}"));
    let section = &page[begin..begin + page[begin..].find("</section>").unwrap()];
    section.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text).collect()
}

#[tokio::test]
async fn the_overview_names_the_busiest_series_and_what_fails_without_a_click() {
    let nobody = "http://127.0.0.1:1";
    let write = blocks::write("default", &[nobody.to_owned()], "max_backoff_retries = 1");
    let running = Running::start(&pipeline(&write, "pyroscope.write.default.receiver, "), &[]).await;
    let page = running.get("/").await;
    assert_eq!(page.status, 200);
    assert!(section(&page, "state").contains("All is well"), "{}", page.text());
    assert!(section(&page, "busiest").contains("No profile came"));

    running.push(&[("service_name", "small"), ("__name__", "memory")], burning("a", 1)).await;
    for _ in 0..3 {
        running.push(&shop("a"), burning("burn", 7)).await;
    }
    let page = running.get("/").await;
    let busiest = section(&page, "busiest");
    let (first, second) = (busiest.find("shop · process_cpu").unwrap(), busiest.find("small · memory").unwrap());
    assert!(first < second, "{busiest}");
    let state = section(&page, "state");
    for part in ["pyroscope.write.default is failing", nobody, "refused"] {
        assert!(state.contains(part), "{part} is missing in {state}");
    }
    // Figures are taken every two seconds from the first look on.
    let lost = eventually("the loss is told", async || {
        let losses = section(&running.get("/").await, "losses");
        losses.contains("given up by the endpoint").then_some(losses)
    });
    assert!(lost.await.unwrap().contains(nobody));
    assert!(section(&running.get("/").await, "components").contains("pyroscope.receive_http.default"));
}

#[tokio::test]
async fn a_flame_graph_is_there_without_a_backend_and_without_a_script() {
    let running = Running::start(&pipeline("", ""), &[]).await;
    assert!(running.get("/profiles").await.text().contains("No profile has come yet"));
    running.push(&shop("a"), burning("burn", 30_000_000)).await;
    running.push(&shop("b"), burning("wait", 10_000_000)).await;
    let page = running.get("/profiles").await;
    let graph = section(&page, "graph");
    assert!(graph.contains("40 ms cpu in 2 profiles"), "{graph}");
    assert!(graph.contains("burn\n30 ms, 75.00 % · self 30 ms, 75.00 %"), "{graph}");

    // A frame is a link to itself.
    let text = page.text();
    let link = text.split("<a href=\"").find(|link| link.contains("<title>burn\n")).unwrap();
    let link = link.split('"').next().unwrap().replace("&amp;", "&");
    let zoomed = running.get(&link).await.text();
    let frames = |page: &str| page.matches("class=\"frame ").count();
    assert_eq!((frames(&text), frames(&zoomed)), (4, 3));
    assert!(zoomed.contains("id=\"whole\""));

    let found = running.get("/profiles?find=BUR").await;
    assert!(section(&found, "graph").contains("1 found, 75.00 %"));
    let one = running.get("/profiles?labels=pod%3D%22b%22").await;
    assert!(section(&one, "graph").contains("10 ms cpu in 1 profile"));
    let compared = running.get("/profiles?labels=pod%3D%22a%22&compare=with&with=pod%3D%22b%22").await;
    assert!(section(&compared, "graph").contains("wait\n0.00 %, compared with 100.00 %: −100.00 points"));
    let before = running.get("/profiles?compare=before").await;
    assert!(section(&before, "graph").contains("compared with 0 s cpu in 0 profiles"));

    let wrong = running.get("/profiles?labels=pod%3D").await;
    assert_eq!(wrong.status, 400);
    assert!(section(&wrong, "graph").contains("a value in double quotes expected"));
}

#[tokio::test]
async fn what_is_shown_can_be_downloaded() {
    let running = Running::start(&pipeline("", ""), &[]).await;
    running.push(&shop("a"), burning("burn", 30)).await;
    running.push(&shop("a"), burning("burn", 12)).await;
    let reply = running.get("/profiles/pprof").await;
    assert!(reply.headers["content-disposition"].to_str().unwrap().contains("profile.pb.gz"));
    let profile = Profile::from_bytes(&reply.body, 1 << 20).unwrap();
    assert_eq!((profile.sample.len(), profile.sample[0].value[0]), (1, 42));
    assert!(profile.function_names().any(|name| name == "burn"));
    let svg = running.get("/profiles/svg").await;
    assert_eq!(svg.headers["content-type"], "image/svg+xml");
    assert!(svg.text().contains("burn (42 nanoseconds"), "{}", svg.text());
}

#[tokio::test]
async fn other_formats_are_drawn_or_told() {
    let running = Running::start(&pipeline("", ""), &[]).await;
    let ingest = async |query: &str, body: &'static str| {
        let reply = post(&format!("{}/ingest?{query}", running.receiver), &[], body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
    };
    ingest("name=folded", "main;work;burn 42\n").await;
    let graph = section(&running.get("/profiles").await, "graph");
    assert!(graph.contains("42 samples in 1 profile") && graph.contains("burn\n42, 100.00 %"), "{graph}");
    ingest("name=folded&format=trie", "no trie").await;
    let graph = section(&running.get("/profiles").await, "graph");
    assert!(graph.contains("1 profile not drawn: trie is not drawn yet"), "{graph}");
}

#[tokio::test]
async fn hostile_names_stay_texts() {
    let running = Running::start(&pipeline("", ""), &[]).await;
    let (script, long) = ("<script>alert(1)</script>\u{202e}\"'\u{7}", "x".repeat(10_000));
    let labels = [("__name__", "cpu"), ("service_name", script), ("long", &long), ("rtl", "שלום")];
    running.push(&labels, ProfileBuilder::cpu().sample(&[&long, script], &[1], &[]).encode()).await;
    for path in ["/", "/profiles", "/profiles/graph", "/profiles?find=%3Cscript%3E&view=%22%3E%3Cscript%3E"] {
        let reply = running.get(path).await;
        assert_eq!(reply.status, 200, "{path}");
        let text = reply.text();
        assert!(text.contains("&lt;script&gt;alert(1)&lt;/script&gt;·"), "{path}: {text}");
        let shown: String = text.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text).collect();
        assert!(!text.contains("<script>") && !shown.contains(['\u{202e}', '\u{7}']), "{path}");
        assert!(!shown.contains(&long), "{path}");
        let policy = reply.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{path}: {policy}");
        assert_eq!(reply.headers["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn what_changes_is_sent_to_those_who_look() {
    let running = Running::start(&pipeline("", ""), &[]).await;
    let admin = running.flamegate.admin();
    let mut connection = RawConnection::open(admin).await.unwrap();
    connection.send(format!("GET /live/overview HTTP/1.1\r\nHost: {admin}\r\n\r\n")).await.unwrap();
    connection.wait_for("All is well").await.unwrap();
    running.push(&shop("a"), burning("burn", 1)).await;
    connection.wait_for("shop · process_cpu").await.unwrap();
}

#[tokio::test]
async fn pages_of_others_read_and_change_nothing() {
    let running = Running::start(&pipeline("", ""), &["--server.http.allowed-hosts=edge.example,other:80"]).await;
    let admin = running.flamegate.admin();
    let ask = async |method: &str, path: &str, headers: &str| {
        let mut connection = RawConnection::open(admin).await.unwrap();
        connection.send(format!("{method} {path} HTTP/1.1\r\n{headers}\r\n\r\n")).await.unwrap();
        connection.reply().await.unwrap().unwrap().status
    };
    for (path, host, status) in [
        ("/", "localhost:1", 200),
        ("/", "edge.example", 200),
        ("/profiles", "other:9", 200),
        ("/", "evil.example", 421),
        ("/profiles", "evil.example", 421),
        ("/live/overview", "evil.example", 421),
        ("/graph", "evil.example", 421),
        ("/tap", "evil.example", 421),
        ("/live/tap", "evil.example", 421),
        ("/api/v0/web/tap", "evil.example", 421),
        ("/api/v0/web/components", "evil.example", 421),
        ("/api/v0/web/overview", "evil.example", 421),
        ("/-/support", "evil.example", 421),
        // Probes and scrapers come under any name.
        ("/metrics", "evil.example", 200),
        ("/-/ready", "evil.example", 200),
    ] {
        assert_eq!(ask("GET", path, &format!("Host: {host}")).await, status, "{host}{path}");
    }
    for (headers, status) in [
        ("Host: anything", 200),
        ("Host: localhost\r\nOrigin: http://localhost", 200),
        ("Host: localhost\r\nOrigin: http://evil.example", 403),
        ("Host: evil.example\r\nOrigin: http://evil.example", 403),
        ("Host: localhost\r\nOrigin: null", 403),
        ("Host: localhost\r\nSec-Fetch-Site: cross-site", 403),
    ] {
        assert_eq!(ask("POST", "/-/reload", headers).await, status, "{headers}");
    }
}

#[test]
fn off_loopback_labels_and_profiles_need_a_password() {
    let network = Network::of(1).unwrap();
    network.run(async || ask_from_elsewhere(&network.hosts()[0]).await).unwrap();
}

async fn ask_from_elsewhere(host: &Host) {
    let auth = "http {\n auth {\n basic {\n username = \"u\"\n password = \"p\"\n }\n }\n}\n";
    let pipeline = |besides| pipeline(besides, "").replace("127.0.0.1", &host.management.to_string());
    let flamegate = Flamegate::start_on(host, &pipeline(""), &[]).await.unwrap();
    let receiver = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    let running = Running { flamegate, receiver };
    running.push(&shop("a"), burning("burn", 1)).await;
    let page = running.get("/").await;
    assert_eq!(page.status, 200);
    assert!(!page.text().contains("shop") && section(&page, "busiest").contains("auth"), "{}", page.text());
    let overview = running.get("/api/v0/web/overview").await;
    assert!(overview.text().contains("\"busiest\":null") && !overview.text().contains("shop"), "{}", overview.text());
    let taps = ["/tap", "/live/tap", "/api/v0/web/tap"];
    for path in ["/profiles", "/profiles/graph", "/profiles/pprof", "/profiles/svg"].into_iter().chain(taps) {
        let reply = running.get(path).await;
        assert_eq!(reply.status, 403, "{path}");
        assert!(!reply.text().contains("shop") && !reply.text().contains("burn"), "{path}");
    }
    running.flamegate.reload(&pipeline(auth)).await.unwrap();
    assert_eq!(running.get("/profiles").await.status, 401);
    let url = format!("http://{}/profiles", running.flamegate.admin());
    let with_password = send(Method::GET, &url, &[("authorization", "Basic dTpw")], Bytes::new()).await.unwrap();
    assert!(section(&with_password, "graph").contains("burn"));
}

#[tokio::test]
async fn a_reload_keeps_what_is_kept() {
    let running = Running::start(&pipeline("", ""), &[]).await;
    running.push(&shop("a"), burning("burn", 1)).await;
    let smaller =
        pipeline("", "").replace(VIEW, "profiles.view \"default\" {\n  keep = \"1h\"\n  max_memory = \"1MiB\"\n}\n");
    running.flamegate.reload(&smaller).await.unwrap();
    assert!(section(&running.get("/profiles").await, "graph").contains("burn"));
    let wrong = pipeline("", "").replace(VIEW, "profiles.view \"default\" { keep = \"0s\" }\n");
    assert!(running.flamegate.reload(&wrong).await.unwrap_err().to_string().contains("must be longer than 0s"));
}

#[tokio::test]
async fn a_component_tells_all_of_itself() {
    let write = "pyroscope.write \"default\" {\n endpoint {\n url = \"http://127.0.0.1:1\"\n max_backoff_retries = 1\n basic_auth {\n username = \"me\"\n \
                 password = \"hunter2\"\n }\n }\n}\n";
    let running = Running::start(&pipeline(write, "pyroscope.write.default.receiver, "), &[]).await;
    running.push(&shop("a"), burning("burn", 7)).await;
    let page = running.get("/components/pyroscope.write.default").await;
    assert_eq!(page.status, 200);
    assert!(section(&page, "state").contains("refused"), "{}", page.text());
    assert!(section(&page, "metrics").contains("pyroscope_write_dropped_profiles_total"));
    let inside = section(&page, "inside");
    assert!(inside.contains("username = &quot;me&quot;") && inside.contains("password = (secret)"), "{inside}");
    assert!(!page.text().contains("hunter2"));

    let view = running.get("/components/profiles.view.default").await;
    assert!(section(&view, "inside").contains("profiles = 1"), "{}", view.text());
    let receive = running.get(&format!("/components/{RECEIVE}")).await;
    assert!(
        section(&receive, "state").contains("pyroscope.write.default, profiles.view.default"),
        "{}",
        receive.text()
    );
    // Every page leads there.
    assert!(running.get("/").await.text().contains("href=\"/components/pyroscope.write.default\""));
    assert_eq!(running.get("/components/pyroscope%2Ewrite%2Edefault").await.status, 200);
    assert_eq!(running.get("/components/pyroscope.write.other").await.status, 404);
}

#[tokio::test]
async fn the_pipeline_is_drawn_level_by_level() {
    let module = "declare \"marked\" {\n  argument \"to\" { }\n  pyroscope.relabel \"inner\" {\n    \
                  forward_to = argument.to.value\n  }\n  \
                  export \"receiver\" { value = pyroscope.relabel.inner.receiver }\n}\n\
                  marked \"a\" { to = [profiles.view.default.receiver] }\n\
                  foreach \"each\" {\n  collection = [1, 2]\n  var = \"item\"\n  template {\n    \
                  profiles.view \"v\" { }\n  }\n}\n";
    let running = Running::start(&pipeline(module, "marked.a.receiver, "), &[]).await;
    let page = running.get("/graph").await;
    assert_eq!(page.status, 200);
    let drawn = section(&page, "pipeline");
    for part in ["pyroscope.receive_http", "profiles.view", "markeda", "eachhealthy · 2 inside", "…"] {
        assert!(drawn.contains(part), "{part} is missing in {drawn}");
    }
    for link in ["/components/pyroscope.receive_http.default", "/graph?in=marked.a", "/graph?in=foreach.each"] {
        assert!(page.text().contains(&format!("<a href=\"{link}\" class=\"node good\"")), "{link}: {}", page.text());
    }
    // Two figures make a rate.
    running.push(&shop("a"), burning("burn", 1)).await;
    let flows = eventually("the rates are there", async || {
        let list = section(&running.get("/graph").await, "components");
        list.contains("marked.a 0.").then_some(list)
    });
    assert!(flows.await.unwrap().contains("/s · "));

    let inside = running.get("/graph?in=marked.a").await;
    let drawn = section(&inside, "pipeline");
    assert!(drawn.contains("pyroscope.relabel") && drawn.contains("inner"), "{drawn}");
    assert!(inside.text().contains("class=\"node good outside\""), "{}", inside.text());
    assert!(section(&inside, "components").contains("profiles.view.default outside"));
    let items = running.get("/graph?in=foreach.each").await;
    assert_eq!(items.text().matches("<a href=\"/graph?in=foreach.each%2F").count(), 6, "{}", items.text());
    assert_eq!(running.get("/graph?in=marked.b").await.status, 404);
}

#[tokio::test]
async fn a_component_that_fails_is_seen_in_the_graph() {
    let write = blocks::write("default", &["http://127.0.0.1:1".to_owned()], "max_backoff_retries = 1");
    let running = Running::start(&pipeline(&write, "pyroscope.write.default.receiver, "), &[]).await;
    running.push(&shop("a"), burning("burn", 7)).await;
    running.get("/graph").await;
    let shown = eventually("the loss is told", async || {
        let page = running.get("/graph").await;
        section(&page, "pipeline").contains("dropped").then_some(page)
    });
    let page = shown.await.unwrap();
    assert!(page.text().contains("class=\"node poor\"") && section(&page, "pipeline").contains("failing"));
    let admin = running.flamegate.admin();
    let mut connection = RawConnection::open(admin).await.unwrap();
    connection.send(format!("GET /live/graph HTTP/1.1\r\nHost: {admin}\r\n\r\n")).await.unwrap();
    connection.wait_for("pyroscope.write").await.unwrap();
}
