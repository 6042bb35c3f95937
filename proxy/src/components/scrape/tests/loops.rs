//! Targets of all sorts beside each other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::watch;

use super::server::{PROFILE, Reply, Server, answer, profile};
use super::*;
use crate::pipeline::Body;
use crate::upstream::http_client::tests::server::{Answers, Server as Proxy};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Targets of one server, each with a path.
fn targets(server: &Server, paths: &[&str]) -> String {
    let target = |path: &&str| {
        format!(
            "{{\"__address__\" = \"{}\", \"__profile_path__\" = \"{path}\", \"path\" = \"{path}\"}},\n",
            server.address
        )
    };
    format!("targets = [\n{}]\n{OFTEN}{GOROUTINES_ALONE}", paths.iter().map(target).collect::<String>())
}

fn body_of(profile: &Profile) -> Bytes {
    match &profile.body {
        Body::Pprof(samples) => samples[0].profile.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_profile_arrives_as_it_was_sent() {
    let server = Server::start([("/debug/pprof/goroutine", Reply::Bytes(profile(PROFILE)))]).await;
    let mut takers = Takers::new(ALL);
    let body = format!(
        "targets = [{{\"__address__\" = \"{}\", \"env\" = \"prod\", \"service_name\" = \"shop\"}}]\njob_name = \"mine\"\n\
         params = {{ gc = [\"1\"] }}\nbearer_token = \"secret\"\n{OFTEN}{GOROUTINES_ALONE}",
        server.address
    );
    let (scrape, services) = start(&body, &takers.taker);
    let arrived = takers.next().await;
    assert_eq!(body_of(&arrived), PROFILE);
    let address = server.address;
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        arrived.labels.to_string(),
        format!(
            "{{__address__=\"{address}\", __name__=\"goroutine\", __param_gc=\"1\", __profile_path__=\"/debug/pprof/goroutine\", \
             __scheme__=\"http\", env=\"prod\", instance=\"{address}\", job=\"mine\", \
             otel.scope.name=\"com.grafana.alloy/pyroscope.scrape\", otel.scope.version=\"v{version}\", \
             service_name=\"shop\"}}"
        )
    );
    takers.next().await;
    let request = &server.asked("/debug/pprof/goroutine")[0];
    assert!(request.starts_with("GET /debug/pprof/goroutine?gc=1 HTTP/1.1\r\n"), "{request}");
    for header in [
        format!("user-agent: Flamegate/{version}\r\n"),
        "accept-encoding: gzip\r\n".to_owned(),
        "authorization: Bearer secret\r\n".to_owned(),
        format!("host: {address}\r\n"),
    ] {
        assert!(request.contains(&header), "{header}: {request}");
    }
    assert_eq!(
        shown(&scrape),
        [(format!("http://{address}/debug/pprof/goroutine?gc=1"), "up".to_owned(), String::new())]
    );
    until("fan-out", || metric(&services, "pyroscope_forwarded_entries_total") >= 2).await;
    assert!(metric(&services, "pyroscope_fanout_latency_count") >= 2);
    // All of them came over one connection.
    assert_eq!(metric(&services, "net_conntrack_dialer_conn_established_total{dialer_name=\"mine\"}"), 1);
}

#[tokio::test]
async fn one_bad_target_harms_no_other() {
    let chunked = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n\
        3\r\n\x0a\x04\x08\r\n3\r\n\x01\x10\x02\r\n0\r\n\r\n";
    let until_close = b"HTTP/1.0 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n\x0a\x04\x08\x01";
    let endless = [
        &b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ntransfer-encoding: chunked\r\n\r\n5000\r\n"[..],
        &[10; 0x5000],
    ]
    .concat();
    let packed =
        |body: &[u8]| answer("200 OK", "content-type: application/octet-stream\r\ncontent-encoding: gzip\r\n", body);
    let html = answer("200 OK", "content-type: text/html\r\n", b"<html>no</html>");
    let server = Server::start([
        ("/good", Reply::Bytes(profile(PROFILE))),
        ("/chunked", Reply::Bytes(chunked.to_vec())),
        ("/gzipped", Reply::Bytes(profile(&gzip(PROFILE)))),
        ("/packed", Reply::Bytes(packed(&gzip(PROFILE)))),
        ("/packed-twice", Reply::Bytes(packed(&gzip(&gzip(PROFILE))))),
        ("/moved", Reply::Bytes(answer("302 Found", "location: /good\r\n", b""))),
        ("/html", Reply::Bytes(html)),
        ("/empty", Reply::Bytes(profile(b""))),
        ("/broken", Reply::Bytes(b"what\r\n\r\n".to_vec())),
        ("/error", Reply::Bytes(answer("500 Oh", "", b" profiling is off \n"))),
        ("/large", Reply::Bytes(profile(&[10; 20_001]))),
        ("/endless", Reply::Bytes(endless)),
        ("/bomb", Reply::Bytes(packed(&gzip(&[10; 20_001])))),
        ("/damaged", Reply::Bytes(packed(b"no gzip"))),
        ("/round", Reply::Bytes(answer("302 Found", "location: /round\r\n", b""))),
        ("/cut", Reply::Bytes(until_close[..until_close.len() - 4].to_vec())),
        ("/never", Reply::Silence),
    ])
    .await;
    let good = ["/good", "/chunked", "/gzipped", "/packed", "/packed-twice", "/moved"];
    let bad = [
        ("/html", "invalid profile data: unexpected Content-Type text/html"),
        ("/empty", "empty goroutine profile"),
        ("/broken", "no answer: reading the answer: no HTTP: "),
        ("/error", "server returned HTTP status (500) profiling is off"),
        ("/absent", "server returned HTTP status (404) 404 page not found"),
        ("/large", "no answer: reading the answer: the body is larger than max_body_size (20000 bytes)"),
        ("/endless", "the body is larger than max_body_size (20000 bytes)"),
        ("/bomb", "the body is larger than max_body_size (20000 bytes) once decompressed"),
        ("/damaged", "the gzip stream is damaged"),
        ("/round", "no answer: stopped after 10 redirects"),
        ("/never", "no whole answer within 2s"),
    ];
    let paths: Vec<&str> = good.iter().copied().chain(bad.iter().map(|(path, _)| *path)).collect();
    // Nobody listens on port 1, and the last two are no targets.
    let more = "{\"__address__\" = \"127.0.0.1:1\"}, {\"a\" = \"b\"}, {\"__address__\" = \"h:1\", \"__scheme__\" = \"ftp\"}]\n";
    let body = targets(&server, &paths).replacen("]\n", more, 1);
    let mut takers = Takers::new(ALL);
    let (scrape, services) =
        start(&format!("{body}scrape_timeout = \"2s\"\nmax_body_size = \"20000B\"\n"), &takers.taker);
    let mut arrived = BTreeMap::new();
    while arrived.len() < good.len() {
        let profile = takers.next().await;
        arrived.insert(profile.labels.value("path").unwrap().to_owned(), body_of(&profile));
    }
    for (path, bytes) in arrived {
        let is_gzipped = path.contains("packed") || path == "/gzipped";
        let sent = if is_gzipped { gzip(PROFILE) } else { PROFILE.into() };
        assert_eq!(bytes, sent, "{path}");
    }
    until("all have been asked", || {
        let known = shown(&scrape).into_iter().filter(|(_, health, _)| health != "unknown").count();
        known == paths.len() + 1
    })
    .await;
    for (url, health, error) in shown(&scrape) {
        let expected = bad.iter().find(|(path, _)| url.ends_with(path));
        match expected {
            Some((_, says)) => assert!(health == "down" && error.contains(says), "{url}: {error}"),
            None if url.contains(":1/") => {
                assert!(health == "down" && error.starts_with("no answer: no connection"), "{error}")
            }
            None => assert_eq!((health.as_str(), error.as_str()), ("up", ""), "{url}"),
        }
    }
    for result in ["success", "no_answer", "timeout", "absent", "status", "invalid", "too_large"] {
        assert!(count(&services, result) > 0, "{result}");
    }
    assert_eq!(metric(&services, "pyroscope_scrape_targets_refused"), 2);
    assert!(scrape.health().unwrap().message.contains("targets that cannot be scraped: 2"), "{:?}", scrape.health());
    // Asked again only after a while.
    until("ticks are let pass", || count(&services, "still_absent") > 2).await;
    assert_eq!(server.asked("/absent").len(), 1);
    // What was asked once and has not answered is not asked again meanwhile.
    assert!(count(&services, "still_busy") > 0);
}

#[tokio::test]
async fn a_slow_receiver_holds_up_its_own_target_alone() {
    let server = Server::start([("/a", Reply::Bytes(profile(PROFILE))), ("/b", Reply::Bytes(profile(PROFILE)))]).await;
    let mut takers = Takers::new(1);
    let (scrape, services) = start(&targets(&server, &["/a", "/b"]), &takers.taker);
    takers.next().await;
    // Both wait to be taken now, and neither is scraped meanwhile.
    until("both wait", || count(&services, "still_busy") > 4).await;
    let asked = || server.asked("/a").len() + server.asked("/b").len();
    let before = asked();
    let busy = count(&services, "still_busy");
    until("ticks are let pass", || count(&services, "still_busy") > busy + 4).await;
    assert_eq!(asked(), before);
    takers.let_through(2);
    takers.next().await;
    takers.next().await;
    takers.let_through(ALL - 10);
    scrape.stop().await;
}

#[tokio::test]
async fn profiles_wait_for_each_others_memory() {
    let large = vec![10; 40_000];
    let server = Server::start([("/a", Reply::Bytes(profile(&large))), ("/b", Reply::Bytes(profile(&large)))]).await;
    let mut takers = Takers::new(ALL);
    let body = "max_body_size = \"50000B\"\nmax_inflight_bytes = \"50000B\"\n";
    let (scrape, _services) = start(&(targets(&server, &["/a", "/b"]) + body), &takers.taker);
    let mut seen = BTreeSet::new();
    while seen.len() < 2 {
        let profile = takers.next().await;
        // It is held here: there is room for no other one.
        assert_eq!(scrape.session.budget.used(), 40_000);
        seen.insert(profile.labels.value("path").unwrap().to_owned());
    }
}

#[tokio::test]
async fn what_was_begun_is_finished() {
    let (open, gate) = watch::channel(false);
    let server = Server::start([("/a", Reply::Behind(gate, profile(PROFILE)))]).await;
    let mut takers = Takers::new(ALL);
    let (scrape, _services) = start(&targets(&server, &["/a"]), &takers.taker);
    until("it is asked", || !server.asked("/a").is_empty()).await;
    let mut stopping = scrape.stop();
    assert!(futures_util::poll!(&mut stopping).is_pending());
    open.send_replace(true);
    stopping.await;
    assert_eq!(body_of(&takers.taken.try_recv().unwrap()), PROFILE);
    assert!(takers.taken.try_recv().is_err());
    assert_eq!(server.asked("/a").len(), 1);
}

#[tokio::test]
async fn a_proxy_is_asked_for_the_whole_url() {
    let text = "HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\ncontent-length: 4\r\nconnection: close\r\n\r\n\n\u{2}\u{8}\u{1}";
    let proxy = Proxy::start(Answers::from([("http://h.invalid:80/p?x=1".to_owned(), text.to_owned())])).await;
    let mut takers = Takers::new(ALL);
    let body = format!(
        "targets = [{{\"__address__\" = \"h.invalid\", \"__profile_path__\" = \"/p\", \"__param_x\" = \"1\"}}]\n\
         proxy_url = \"{}\"\n{OFTEN}{GOROUTINES_ALONE}",
        proxy.url("").replace("http://", "http://me:pass@")
    );
    let (_scrape, _services) = start(&body, &takers.taker);
    assert_eq!(body_of(&takers.next().await), &b"\x0a\x02\x08\x01"[..]);
    assert!(proxy.last().contains("proxy-authorization: Basic bWU6cGFzcw=="), "{}", proxy.last());
}
