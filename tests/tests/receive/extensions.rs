//! What the reference's receiver has not: Zstandard, senders that prove who they are, limits, and headers that go on.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flamegate_tests::http_client::Reply;
use flamegate_tests::spine::GOOD_LABELS;

use super::*;

const PROTO: (&str, &str) = ("content-type", "application/proto");

fn zstd(bytes: &[u8]) -> Bytes {
    zstd::encode_all(bytes, 3).unwrap().into()
}

/// A good profile to `/ingest`.
async fn ingest(spine: &Spine, headers: &[(&str, &str)]) -> Reply {
    post(&format!("{}/ingest?name=shop", spine.url), headers, "main 1\n").await.unwrap()
}

/// A good profile by Connect.
async fn push(spine: &Spine, headers: &[(&str, &str)]) -> Reply {
    let headers = [headers, &[PROTO]].concat();
    post(&format!("{}{PUSH_PATH}", spine.url), &headers, good_push().encode_to_vec()).await.unwrap()
}

#[tokio::test]
async fn zstd_on_every_route() {
    let spine = Spine::start(Settings { receive: "max_body_size = \"16MiB\"", ..Settings::default() }).await.unwrap();
    let packed = ("content-encoding", "zstd");
    let request = good_push();
    let message = request.encode_to_vec();
    let url = format!("{}{PUSH_PATH}", spine.url);
    let raw = STANDARD.encode(good_profile());
    let labels = r#"[{"name":"__name__","value":"process_cpu"},{"name":"service_name","value":"json"}]"#;
    let json = format!(r#"{{"series":[{{"labels":{labels},"samples":[{{"rawProfile":"{raw}"}}]}}]}}"#);
    for (content_type, body) in [("application/proto", &message[..]), ("application/json", json.as_bytes())] {
        let reply = post(&url, &[packed, ("content-type", content_type)], zstd(body)).await.unwrap();
        assert_eq!(reply.status, 200, "{content_type}: {}", reply.text());
    }
    let mut envelope = vec![1];
    let body = zstd(&message);
    envelope.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
    envelope.extend(&body);
    for (content_type, http2) in [("application/grpc", true), ("application/grpc-web", false)] {
        let headers = [("grpc-encoding", "zstd"), ("content-type", content_type)];
        let before = spine.backend.received().len();
        let sent = if http2 {
            post_http2(&url, &headers, envelope.clone()).await
        } else {
            post(&url, &headers, envelope.clone()).await
        };
        assert_eq!(sent.unwrap().status, 200, "{content_type}");
        let received = spine.backend.received();
        assert_eq!(received.len(), before + 1, "{content_type}");
        assert_eq!(received[before].profiles[0].raw, request.series[0].samples[0].raw_profile, "{content_type}");
    }
    // No backend reads it: also a bare pprof arrives unpacked.
    let (folded, profile) = (Bytes::from_static(b"main;leaf 10\n"), good_profile());
    for (query, body) in [("format=folded", &folded), ("format=pprof", &profile)] {
        let url = format!("{}/ingest?{query}&name=packed", spine.url);
        let reply = post(&url, &[packed], zstd(body)).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, ""), "{query}");
        assert_eq!(spine.backend.received().last().unwrap().body, body, "{query}");
    }
    // 64 MiB of zeros in a few kilobytes, and what is none.
    let bomb = zstd(&vec![0; 64 << 20]);
    for (path, headers) in [("/ingest?name=shop", vec![packed]), (PUSH_PATH, vec![packed, PROTO])] {
        let url = format!("{}{path}", spine.url);
        assert_eq!(post(&url, &headers, bomb.clone()).await.unwrap().status, 413, "{path}");
        assert_eq!(post(&url, &headers, "no zstd").await.unwrap().status, 400, "{path}");
    }
    let refused = ingest(&spine, &[("content-encoding", "br")]).await;
    assert_eq!((refused.status.as_u16(), &refused.headers["accept-encoding"]), (415, &"gzip, zstd".parse().unwrap()));
    spine.serves().await.unwrap();
}

#[tokio::test]
async fn only_who_is_known_may_send() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens");
    std::fs::write(&file, "first\n\n  second \n").unwrap();
    let receive = format!(
        "auth {{\n bearer_tokens = [\"given\"]\n bearer_token_file = \"{}\"\n basic {{\n  username = \"user\"\n  password = \"se:cret\"\n }}\n}}",
        file.display()
    );
    let spine = Spine::start(Settings { receive: &receive, ..Settings::default() }).await.unwrap();
    for (authorization, known) in [
        ("Bearer given", true),
        ("bearer first", true),
        ("Bearer second", true),
        ("Basic dXNlcjpzZTpjcmV0", true),
        ("Bearer third", false),
        ("Bearer ", false),
        ("Bearer", false),
        ("given", false),
        ("Basic dXNlcjpzZTpjcmVU", false),
        ("Basic Z2l2ZW46", false),
        ("Basic !", false),
    ] {
        let headers = [("authorization", authorization)];
        let (ingested, pushed) = (ingest(&spine, &headers).await, push(&spine, &headers).await);
        let expected = if known { 200 } else { 401 };
        assert_eq!([ingested.status.as_u16(), pushed.status.as_u16()], [expected; 2], "{authorization}");
        if !known {
            assert_eq!(ingested.headers["www-authenticate"], "Basic realm=\"flamegate\", Bearer");
            assert!(pushed.text().contains("\"code\":\"unauthenticated\""), "{}", pushed.text());
        }
    }
    assert_eq!(ingest(&spine, &[]).await.status, 401);
    // A stranger learns of no path whether it is there.
    assert_eq!(post(&format!("{}/none", spine.url), &[], "").await.unwrap().status, 401);
    assert_eq!(spine.refused("unauthenticated").await.unwrap(), 16.0);
    assert!(spine.backend.received().iter().all(|series| !series.headers.contains_key("authorization")));

    std::fs::write(&file, "third").unwrap();
    eventually("the new token is known", async || {
        (ingest(&spine, &[("authorization", "Bearer third")]).await.status == 200).then_some(())
    })
    .await
    .unwrap();
    assert_eq!(ingest(&spine, &[("authorization", "Bearer first")]).await.status, 401);
    // A file in which nobody is locks nobody out, and lets nobody in.
    std::fs::write(&file, "").unwrap();
    assert_eq!(ingest(&spine, &[("authorization", "Bearer third")]).await.status, 200);
    assert_eq!(ingest(&spine, &[("authorization", "Bearer ")]).await.status, 401);
}

#[tokio::test]
async fn each_tenant_may_send_so_much() {
    let receive = "rate_limit {\n requests_per_second = 0.01\n burst = 2\n}";
    let spine = Spine::start(Settings { receive, ..Settings::default() }).await.unwrap();
    for tenant in [&[][..], &[("x-scope-orgid", "a")], &[("x-scope-orgid", "b")]] {
        assert_eq!(ingest(&spine, tenant).await.status, 200);
        assert_eq!(push(&spine, tenant).await.status, 200);
        let (ingested, pushed) = (ingest(&spine, tenant).await, push(&spine, tenant).await);
        assert!(pushed.text().contains("\"code\":\"resource_exhausted\""), "{}", pushed.text());
        for reply in [ingested, pushed] {
            assert_eq!(reply.status, 429, "{tenant:?}");
            let wait: u64 = reply.headers["retry-after"].to_str().unwrap().parse().unwrap();
            assert!((1..=100).contains(&wait), "{wait}");
        }
    }
    assert_eq!(spine.refused("rate_limit").await.unwrap(), 6.0);
    assert_eq!(spine.backend.received().len(), 6);
}

#[tokio::test]
async fn each_value_of_a_label_may_send_so_much() {
    let receive = "rate_limit {\n requests_per_second = 0.01\n burst = 1\n label = \"service_name\"\n}";
    let spine = Spine::start(Settings { receive, ..Settings::default() }).await.unwrap();
    let of = |service: &str| {
        let labels = [GOOD_LABELS[0], ("service_name", service)];
        PushRequest::one(&labels, good_profile())
    };
    let pushed =
        async |request: &PushRequest| PushClient::CONNECT.push(&spine.url, request).await.unwrap().status.as_u16();
    assert_eq!((pushed(&of("a")).await, pushed(&of("a")).await, pushed(&of("b")).await), (200, 429, 200));
    assert_eq!((ingest(&spine, &[]).await.status.as_u16(), ingest(&spine, &[]).await.status.as_u16()), (200, 429));
    // One that may not holds up the request, and takes nothing from the others in it.
    let mut both = of("c");
    both.series.extend(of("a").series);
    assert_eq!((pushed(&both).await, pushed(&of("c")).await), (429, 200));
}

#[tokio::test]
async fn what_the_sender_said_goes_on() {
    let receive = "forward_headers = [\"X-Scope-OrgID\", \"x-other\", \"Authorization\"]";
    let endpoint = "headers = { \"X-Scope-OrgID\" = \"usual\", \"X-Fixed\" = \"f\" }\nbearer_token = \"ours\"";
    let spine = Spine::start(Settings { receive, endpoint, ..Settings::default() }).await.unwrap();
    let said =
        [("x-scope-orgid", "tenant-1"), ("x-other", "1"), ("x-other", "2"), ("x-more", "m"), ("authorization", "a")];
    for (headers, tenant, others) in [(&said[..], "tenant-1", &["1", "2"][..]), (&[], "usual", &[])] {
        assert_eq!(
            (ingest(&spine, headers).await.status.as_u16(), push(&spine, headers).await.status.as_u16()),
            (200, 200)
        );
        let received = spine.backend.received();
        for series in received.iter().rev().take(2) {
            let all = |name: &str| {
                series.headers.get_all(name).iter().map(|value| value.to_str().unwrap()).collect::<Vec<_>>()
            };
            assert_eq!(all("x-scope-orgid"), [tenant], "{:?}", series.api);
            assert_eq!(all("x-other"), others);
            assert_eq!((all("x-fixed"), all("x-more")), (vec!["f"], vec![]));
            assert_eq!(all("authorization"), ["Bearer ours"], "the endpoint's credentials are its own");
        }
    }
}

#[tokio::test]
async fn a_label_can_say_the_tenant() {
    let receive = "forward_headers = [\"X-Scope-OrgID\"]";
    let endpoint = "max_backoff_retries = 1\ntenant_label = \"team\"\nheaders = { \"X-Scope-OrgID\" = \"usual\" }";
    let spine = Spine::start(Settings { receive, endpoint, ..Settings::default() }).await.unwrap();
    for (team, header, tenant) in [
        (Some("blue"), Some("said"), "blue"),
        (Some("blue"), None, "blue"),
        (None, Some("said"), "said"),
        (None, None, "usual"),
    ] {
        let labels: Vec<_> = GOOD_LABELS.into_iter().chain(team.map(|team| ("team", team))).collect();
        let body = PushRequest::one(&labels, good_profile()).encode_to_vec();
        let headers: Vec<_> = header.map(|header| ("x-scope-orgid", header)).into_iter().chain([PROTO]).collect();
        let reply = post(&format!("{}{PUSH_PATH}", spine.url), &headers, body).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(spine.backend.received().last().unwrap().headers["x-scope-orgid"], tenant);
    }
    let labels = [GOOD_LABELS[0], GOOD_LABELS[1], ("team", "a\nb")];
    let reply = PushClient::CONNECT.push(&spine.url, &PushRequest::one(&labels, good_profile())).await.unwrap();
    assert_eq!(reply.status, 400);
    assert!(reply.error.unwrap().message.contains("can stand in no header"));
}
