use prost::Message;

use super::*;
use crate::gzip;
use crate::http_client::{Reply, RequestError, get, post, post_http2};
use crate::pprof::ProfileBuilder;
use crate::push_api::{PUSH_PATH, PushRequest, RawProfileSeries};

const SOON: Duration = Duration::from_secs(10);
const LABELS: [(&str, &str); 2] = [("__name__", "process_cpu"), ("service_name", "svc")];
const PROTO: (&str, &str) = ("content-type", "application/proto");

fn cpu() -> ProfileBuilder {
    ProfileBuilder::cpu().sample(&["leaf", "main"], &[10], &[("thread", "worker")])
}

fn push_body(labels: &[(&str, &str)]) -> Vec<u8> {
    PushRequest::one(&[&LABELS, labels].concat(), cpu().encode()).encode_to_vec()
}

async fn push(backend: &Backend, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
    post(&format!("{}{PUSH_PATH}", backend.url()), headers, body).await.unwrap()
}

async fn ingest(backend: &Backend, query: &str, content_type: &str, body: impl Into<Bytes>) -> Reply {
    let url = format!("{}/ingest?{query}", backend.url());
    post(&url, &[("content-type", content_type)], body).await.unwrap()
}

fn form(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend([head.as_bytes(), content, b"\r\n"].concat());
    }
    body.extend(b"--b--\r\n");
    body
}

#[tokio::test]
async fn push_is_taken_whatever_its_wrapping() {
    let backend = Backend::start().await.unwrap();
    let url = format!("{}{PUSH_PATH}?a=b", backend.url());
    let gzip_inside = PushRequest::one(&LABELS, cpu().gzip().unwrap()).encode_to_vec();
    let gzip_outside = gzip::compress(&push_body(&[])).unwrap();
    let packed = [PROTO, ("content-encoding", "gzip")];

    for body in [push_body(&[]), gzip_inside] {
        let reply = post(&url, &[PROTO], body).await.unwrap();
        assert_eq!((reply.status, reply.body.len()), (StatusCode::OK, 0));
        assert_eq!(reply.headers["content-type"], "application/proto");
    }
    for reply in [
        post(&url, &packed, gzip_outside.clone()).await.unwrap(),
        post_http2(&url, &packed, gzip_outside).await.unwrap(),
    ] {
        assert_eq!(reply.status, StatusCode::OK);
        assert_eq!(reply.headers["content-encoding"], "gzip", "as the server answers gzip");
        assert!(gzip::is_gzip(&reply.body));
    }

    let received = backend.received();
    assert_eq!(received.len(), 4);
    for series in received {
        assert_eq!(series.api, Api::Push);
        assert_eq!(series.path, PUSH_PATH);
        assert_eq!(series.query_value("a"), Some("b"));
        assert_eq!(series.headers["content-type"], "application/proto");
        assert_eq!(series.service_name(), "svc");
        assert_eq!(series.labels["__name__"], "process_cpu");
        assert!(series.has_function("leaf") && series.has_function("main"));
        assert_eq!(series.profiles[0].sample_types, ["cpu:nanoseconds"]);
        assert_eq!(series.profiles[0].sample_labels, [("thread".to_owned(), "worker".to_owned())].into());
        assert!(!series.profiles[0].id.is_empty());
    }
    let versions: Vec<_> = backend.attempts().iter().map(|attempt| attempt.request.version).collect();
    assert_eq!(versions, [Version::HTTP_11, Version::HTTP_11, Version::HTTP_11, Version::HTTP_2]);
}

#[tokio::test]
async fn push_is_refused_in_the_words_of_the_protocol() {
    let backend = Backend::start().await.unwrap();
    let without_labels = PushRequest::one(&[], cpu().encode()).encode_to_vec();
    let garbage = PushRequest::one(&LABELS, "garbage").encode_to_vec();
    let old = {
        let mut profile = cpu().build();
        profile.time_nanos -= 2 * 3_600_000_000_000;
        PushRequest::one(&LABELS, profile.encode_to_vec()).encode_to_vec()
    };
    let empty_series = PushRequest { series: vec![RawProfileSeries::default()] }.encode_to_vec();
    let not_utf8 = {
        let mut body = push_body(&[("mark", "here")]);
        let at = body.windows(4).position(|window| window == b"here").unwrap();
        body[at] = 0xff;
        body
    };
    let padded = PushRequest::one(&LABELS, cpu().padding(5 << 20).gzip().unwrap()).encode_to_vec();
    let good = || push_body(&[]);
    let invalid = "invalid_argument";
    /// Headers, body; status, code, part of the message.
    type Case<'c> = (&'c [(&'c str, &'c str)], Vec<u8>, u16, &'c str, &'c str);
    let cases: [Case<'_>; 15] = [
        (&[], good(), 415, "unknown", "is not application/proto"),
        (&[("content-type", "application/json")], good(), 415, "unknown", "application/json"),
        (&[PROTO, ("content-encoding", "zstd")], good(), 501, "unimplemented", "zstd"),
        (&[PROTO, ("content-encoding", "gzip")], good(), 400, invalid, "gzip: invalid header"),
        (&[PROTO, ("connect-protocol-version", "2")], good(), 400, invalid, "protocol-version"),
        (&[PROTO, ("connect-timeout-ms", "1s")], good(), 400, invalid, "parse timeout"),
        (&[PROTO], b"\x0a\xff".to_vec(), 400, invalid, "unmarshal message"),
        (&[PROTO], not_utf8, 400, invalid, "unmarshal message"),
        (&[PROTO], Vec::new(), 400, invalid, "no profiles received"),
        (&[PROTO], empty_series, 400, invalid, "no profiles received"),
        (&[PROTO], without_labels, 400, invalid, "at least one label pair"),
        (&[PROTO], push_body(&[("a", "1"), ("a", "2")]), 400, invalid, "duplicate label name: 'a'"),
        (&[PROTO], garbage, 400, invalid, "pprof does not decode"),
        (&[PROTO], old, 400, invalid, "outside of ingestion window"),
        (&[PROTO], padded, 400, invalid, "exceeds limit of 4194304 bytes"),
    ];
    for (headers, body, status, code, says) in cases {
        let reply = push(&backend, headers, body).await;
        assert_eq!(reply.status, status, "{says}: {}", reply.text());
        assert_eq!(reply.headers["content-type"], "application/json");
        let error: serde_json::Value = serde_json::from_slice(&reply.body).unwrap();
        assert_eq!(error["code"], code, "{says}");
        assert!(error["message"].as_str().unwrap().contains(says), "{says}: {error}");
    }
    assert_eq!(backend.received().len(), 0);
    assert_eq!(backend.attempts().len(), 15);
}

#[tokio::test]
async fn ingest_formats() {
    let backend = Backend::start().await.unwrap();
    let gzipped = cpu().gzip().unwrap();
    let multipart = "multipart/form-data; boundary=b";
    let config: &[u8] = br#"{"cpu":{"units":"nanoseconds","sampled":true}}"#;
    let cases: [(&str, &str, Bytes, u16, &str); 18] = [
        ("name=svc&format=pprof", "binary/octet-stream", gzipped.clone(), 200, "leaf"),
        ("name=svc&format=pprof", "binary/octet-stream", cpu().encode(), 200, "leaf"),
        ("name=svc", multipart, form(&[("profile", &gzipped)]).into(), 200, "leaf"),
        ("name=svc", multipart, form(&[("profile", &gzipped), ("sample_type_config", config)]).into(), 200, "leaf"),
        ("name=svc", "text/plain", "main;leaf 3\nnothing\n".into(), 200, "leaf"),
        ("name=svc", multipart, form(&[("other", b"x")]).into(), 200, ""),
        ("name=svc&format=pprof", "", Bytes::new(), 200, ""),
        ("format=pprof", "", gzipped.clone(), 400, "name: service name is required"),
        ("name=a%20b&format=pprof", "", gzipped.clone(), 400, "invalid service name"),
        ("name=svc%7B1a=x%7D&format=pprof", "", gzipped.clone(), 422, "invalid label name '1a'"),
        ("name=svc&format=pprof", "", "garbage".into(), 422, "pprof does not decode"),
        ("name=svc&format=jfr", "", "garbage".into(), 422, "no chunk begins here"),
        ("name=svc&format=jfr", multipart, form(&[("profile", b"x")]).into(), 422, "jfr field is required"),
        ("name=svc", "multipart/form-data", Bytes::new(), 422, "multipart form"),
        ("name=svc", multipart, form(&[("profile", &gzipped), ("prev_profile", b"x")]).into(), 422, "prev_profile"),
        (
            "name=svc",
            multipart,
            form(&[("profile", &gzipped), ("sample_type_config", b"[")]).into(),
            422,
            "sample_type_config",
        ),
        ("name=svc", "", "main;leaf three\n".into(), 422, "folded stacks, line 1"),
        ("name=svc&format=trie", "", Bytes::new(), 422, "format=trie"),
    ];
    for (query, content_type, body, status, says) in cases {
        let reply = ingest(&backend, query, content_type, body).await;
        assert_eq!(reply.status, status, "{query} {says}: {}", reply.text());
        if status == 200 {
            let attempts = backend.attempts();
            let Some(Verdict::Taken(series)) = attempts.last().map(|attempt| &attempt.verdict) else {
                panic!("{query} was answered 200 and not taken");
            };
            assert_eq!(series[0].api, Api::Ingest);
            assert_eq!(series[0].service_name(), "svc");
            assert_eq!(series[0].has_function("leaf"), !says.is_empty(), "{query}");
        } else {
            assert!(reply.text().contains(says), "{says}: {}", reply.text());
        }
    }
}

#[tokio::test]
async fn bodies_are_bounded() {
    let limits = Limits { body_bytes: 1000, ..Limits::default() };
    let backend = Backend::start_as(Options { limits, ..Options::default() }).await.unwrap();
    let reply = ingest(&backend, "name=svc&format=pprof", "", vec![0; 1001]).await;
    assert_eq!(reply.status, 413);
    let bomb = gzip::compress(&vec![0; 100_000]).unwrap();
    assert!(bomb.len() < 1000);
    let reply = push(&backend, &[PROTO, ("content-encoding", "gzip")], bomb).await;
    assert_eq!(reply.status, 429);
    assert!(matches!(backend.attempts()[0].verdict, Verdict::Broken(_)));
}

#[tokio::test]
async fn routes_and_base_path() {
    let base_path = "/base".to_owned();
    let backend = Backend::start_as(Options { base_path, ..Options::default() }).await.unwrap();
    let root = format!("http://{}", backend.address());
    assert_eq!(backend.url(), format!("{root}/base"));
    assert_eq!(push(&backend, &[PROTO], push_body(&[])).await.status, 200);
    assert_eq!(backend.received()[0].path, format!("/base{PUSH_PATH}"));
    let statuses = [("/ready", 404), ("/base/ready", 200), ("/base/ingest", 405), ("/base/other", 404)];
    for (path, status) in statuses {
        assert_eq!(get(&format!("{root}{path}")).await.unwrap().status, status, "{path}");
    }
    backend.set_ready(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(get(&format!("{root}/base/ready")).await.unwrap().status, 503);
    assert_eq!(backend.attempts().len(), 1, "only profile requests count");
}

#[tokio::test]
async fn scripts() {
    let backend = Backend::start_with(Script::first([
        Answer::text(StatusCode::SERVICE_UNAVAILABLE, "busy").with_header("retry-after", "3"),
        Answer::connect_error(Code::ResourceExhausted, "slow down"),
        Answer::redirect(StatusCode::MOVED_PERMANENTLY, "/elsewhere"),
        Answer::status(StatusCode::NO_CONTENT),
        Answer::Judge.after(Duration::from_millis(30)),
        Answer::Close,
        Answer::HalfReply,
        Answer::Garbage(Bytes::from_static(b"garbage\r\n\r\n")),
    ]))
    .await
    .unwrap();
    let url = format!("{}{PUSH_PATH}", backend.url());
    let sent = || post(&url, &[PROTO], push_body(&[]));

    let busy = sent().await.unwrap();
    assert_eq!((busy.status.as_u16(), busy.text().as_str()), (503, "busy"));
    assert_eq!(busy.headers["retry-after"], "3");
    let slow_down = sent().await.unwrap();
    assert_eq!(slow_down.status, 429);
    assert_eq!(slow_down.text(), r#"{"code":"resource_exhausted","message":"slow down"}"#);
    assert_eq!(sent().await.unwrap().headers["location"], "/elsewhere");
    assert_eq!(sent().await.unwrap().status, 204);
    assert_eq!(backend.received().len(), 0);
    assert_eq!(sent().await.unwrap().status, 200);
    assert_eq!(backend.received().len(), 1);
    assert!(matches!(sent().await, Err(RequestError::Connection { .. })), "closed");
    assert!(matches!(sent().await, Err(RequestError::Body { .. })), "half a reply");
    assert!(matches!(sent().await, Err(RequestError::Connection { .. })), "garbage");
    assert_eq!(sent().await.unwrap().status, 200, "judged after the script's end");

    let attempts = backend.wait_for_attempts(9, SOON).await.unwrap();
    let times: Vec<_> = attempts.iter().map(|attempt| attempt.request.at).collect();
    assert!(times.is_sorted());
    assert!(attempts.iter().all(|attempt| !attempt.request.body.is_empty()));

    backend.follow(Script::always(Answer::Silence));
    let silent = tokio::time::timeout(Duration::from_millis(50), sent()).await;
    assert!(silent.is_err());
    backend.wait_for_attempts(10, SOON).await.unwrap();

    backend.follow(Script::always(Answer::Judge.after(SOON)));
    let hung_up = tokio::time::timeout(Duration::from_millis(50), sent()).await;
    assert!(hung_up.is_err());
    let attempts = backend.wait_for_attempts(11, SOON).await.unwrap();
    assert!(matches!(&attempts[10].verdict, Verdict::Broken(why) if why.contains("hung up")));
}

#[tokio::test]
async fn waiting_ends_with_what_arrived() {
    let backend = Backend::start().await.unwrap();
    push(&backend, &[PROTO], push_body(&[("zone", "eu")])).await;
    push(&backend, &[PROTO], b"\xff".to_vec()).await;
    let found = backend.wait_for(|series| series.has_function("leaf"), SOON).await.unwrap();
    assert_eq!(found.labels["zone"], "eu");

    let later = backend.wait_for(|series| series.labels.contains_key("later"), SOON);
    let sent = push(&backend, &[PROTO], push_body(&[("later", "1")]));
    let (later, _) = tokio::join!(later, sent);
    assert_eq!(later.unwrap().labels["later"], "1");

    let never = backend.wait_for(|_| false, Duration::from_millis(10)).await.unwrap_err().to_string();
    for part in ["\"zone\": \"eu\"", "leaf", "cpu:nanoseconds", "thread", "refused: 400 invalid_argument"] {
        assert!(never.contains(part), "{part} is not in: {never}");
    }
}

#[tokio::test]
async fn a_backend_comes_back_on_its_port() {
    let backend = Backend::start().await.unwrap();
    let address = backend.address();
    assert_eq!(push(&backend, &[PROTO], push_body(&[])).await.status, 200);
    let url = backend.url();
    backend.stop().await;
    assert!(matches!(get(&format!("{url}/ready")).await, Err(RequestError::Connection { .. })));
    let again = Backend::start_as(Options { address, ..Options::default() }).await.unwrap();
    assert_eq!(again.url(), url);
    assert_eq!(push(&again, &[PROTO], push_body(&[])).await.status, 200);
}
