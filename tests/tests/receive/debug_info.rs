//! Debug information on its way through: to the first endpoint downstream, files while they come.

use flamegate_tests::http_client::{Reply, send};
use http::Method;

use self::downstream::Downstream;
use super::*;

#[path = "debug_info/downstream.rs"]
mod downstream;

const SHOULD: &str = "/debuginfo.v1alpha1.DebuginfoService/ShouldInitiateUpload";
const FINISHED: &str = "/debuginfo.v1alpha1.DebuginfoService/UploadFinished";
const UPLOAD: &str = "/debuginfo.v1alpha1.DebuginfoService/Upload/";
/// `should_initiate_upload: true`.
const YES: &[u8] = &[8, 1];
const PROTO: (&str, &str) = ("content-type", "application/proto");

/// Flamegate in front of two downstreams, the first of which everything goes to.
struct Proxy {
    downstream: Downstream,
    flamegate: Flamegate,
    address: std::net::SocketAddr,
    url: String,
}

impl Proxy {
    /// With further lines of the receiver and of the endpoint.
    async fn start(receive: &str, endpoint: &str) -> Self {
        Self::through("pyroscope.write.default.receiver", "", receive, endpoint).await
    }

    /// Through the component that has this receiver, and is written so.
    async fn through(first: &str, written: &str, receive: &str, endpoint: &str) -> Self {
        let (downstream, other) = (Downstream::start().await, Downstream::start().await);
        let block = ReceiveHttp { label: "default", settings: receive, writes: &["default"], ..Default::default() };
        let receivers = format!("[{first}, pyroscope.write.other.receiver]");
        let configuration = block.block().replace("[pyroscope.write.default.receiver]", &receivers)
            + written
            + &blocks::write("default", &[downstream.url(), other.url()], endpoint)
            + &blocks::write("other", &[other.url()], "");
        let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
        let address = flamegate.listener(RECEIVE).await.unwrap();
        Self { downstream, flamegate, address, url: format!("http://{address}") }
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Reply {
        post(&format!("{}{path}", self.url), headers, body).await.unwrap()
    }

    async fn counted(&self, method: &str, result: &str) -> f64 {
        let labels = [("component_id", RECEIVE), ("method", method), ("result", result)];
        let name = "pyroscope_receive_http_debuginfo_downstream_calls_total";
        self.flamegate.metrics().await.unwrap().sum(name, &labels).unwrap_or_default()
    }
}

fn enveloped(message: &[u8], flags: u8) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flags], &length[..], message].concat()
}

#[tokio::test]
async fn calls_pass_in_every_protocol() {
    let receive = "forward_headers = [\"X-Scope-OrgID\"]";
    let endpoint = "bearer_token = \"token\"\nheaders = { \"X-Scope-OrgID\" = \"usual\", \"X-Other\" = \"o\" }";
    let rule = "pyroscope.relabel \"default\" {\n forward_to = [pyroscope.write.default.receiver]\n rule {\n \
                target_label = \"a\"\n replacement = \"b\"\n }\n}\n";
    let proxy = Proxy::through("pyroscope.relabel.default.receiver", rule, receive, endpoint).await;
    let (message, json) = (&b"\x0a\x04\x0a\x02id"[..], &br#"{"file":{"gnuBuildId":"id"}}"#[..]);
    let packed = gzip::compress(message).unwrap();
    let proto = "application/proto";
    let grpc_end = enveloped(b"grpc-status: 0\r\n", 0x80);
    let cases = [
        (proto, vec![], message.to_vec(), message, YES.to_vec(), false),
        (proto, vec![("content-encoding", "gzip")], packed.clone(), message, YES.to_vec(), true),
        ("application/json", vec![], json.to_vec(), json, br#"{"shouldInitiateUpload":true}"#.to_vec(), false),
        ("application/grpc", vec![], enveloped(message, 0), message, enveloped(YES, 0), true),
        (
            "application/grpc-web",
            vec![("grpc-encoding", "gzip")],
            enveloped(&packed, 1),
            message,
            [enveloped(YES, 0), grpc_end].concat(),
            false,
        ),
    ];
    let count = cases.len() as f64;
    for (content_type, more, body, arrives, answer, http2) in cases {
        for path in [SHOULD, FINISHED] {
            let url = format!("{}{path}", proxy.url);
            let headers = [&more[..], &[("content-type", content_type), ("x-scope-orgid", "said")]].concat();
            let reply = match http2 {
                true => post_http2(&url, &headers, body.clone()).await,
                false => post(&url, &headers, body.clone()).await,
            };
            let reply = reply.unwrap();
            assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &answer[..]), "{content_type}, {path}");
            let asked = proxy.downstream.last();
            assert_eq!((asked.path.as_str(), &asked.body[..]), (path, arrives), "{content_type}");
            let header = |name: &str| asked.headers[name].to_str().unwrap();
            assert_eq!(header("content-type"), if content_type.ends_with("json") { "application/json" } else { proto });
            assert_eq!((header("authorization"), header("x-other")), ("Bearer token", "o"));
            assert_eq!((header("x-scope-orgid"), header("connect-protocol-version")), ("said", "1"));
        }
    }
    assert_eq!(proxy.counted("ShouldInitiateUpload", "success").await, count);
    assert_eq!(proxy.counted("UploadFinished", "success").await, count);
}

/// Far more than may be held.
#[tokio::test]
async fn a_file_is_handed_on_while_it_comes() {
    let receive = "max_body_size = \"1KiB\"\nmax_inflight_bytes = \"256KiB\"";
    let proxy = Proxy::start(receive, "bearer_token = \"token\"").await;
    let file: Bytes = (0..=u8::MAX).cycle().take(3 << 20).collect();
    let half = file.len() / 2;
    let mut connection = RawConnection::open(proxy.address).await.unwrap();
    for build in ["ab12", "cd%2F34"] {
        proxy.downstream.forget();
        let head = format!("POST {UPLOAD}{build} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", file.len());
        connection.send(head).await.unwrap();
        connection.send(&file[..half]).await.unwrap();
        proxy.downstream.has_read(half).await;
        // There is no memory for a second one meanwhile.
        let reply = proxy.post(&format!("{UPLOAD}second"), &[], "abc").await;
        assert_eq!((reply.status.as_u16(), &reply.headers["retry-after"]), (503, &"1".parse().unwrap()));
        connection.send(&file[half..]).await.unwrap();
        let reply = connection.reply().await.unwrap().unwrap();
        assert_eq!((reply.status, reply.body.as_str()), (200, ""));
        let asked = proxy.downstream.last();
        assert_eq!((asked.path, asked.whole), (format!("{UPLOAD}{build}"), true));
        assert_eq!((asked.body == file, &asked.headers["authorization"]), (true, &"Bearer token".parse().unwrap()));
        assert_eq!(asked.headers["content-length"], file.len().to_string().as_str());
    }
    // Of unknown length, and over HTTP/2.
    let head =
        format!("POST {UPLOAD}ab12 HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n");
    connection.send(head).await.unwrap();
    assert_eq!(connection.reply().await.unwrap().unwrap().status, 100);
    connection.send("3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n").await.unwrap();
    assert_eq!(connection.reply().await.unwrap().unwrap().status, 200);
    assert_eq!((proxy.downstream.last().whole, &proxy.downstream.last().body[..]), (true, &b"abcde"[..]));
    let reply = post_http2(&format!("{}{UPLOAD}ab12", proxy.url), &[], file.clone()).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(proxy.downstream.last().body == file);
    assert_eq!(proxy.counted("Upload", "success").await, 4.0);
}

#[tokio::test]
async fn half_a_file_never_looks_like_a_whole_one() {
    let proxy = Proxy::start("", "").await;
    for framing in ["content-length: 10", "transfer-encoding: chunked"] {
        let mut connection = RawConnection::open(proxy.address).await.unwrap();
        connection.send(format!("POST {UPLOAD}ab HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\n3\r\nabc\r\n")).await.unwrap();
        proxy.downstream.has_read(3).await;
        drop(connection);
        eventually("downstream saw it break", async || (!proxy.downstream.last().whole).then_some(())).await.unwrap();
        proxy.downstream.forget();
    }
    eventually("both are counted", async || (proxy.counted("Upload", "failure").await == 2.0).then_some(()))
        .await
        .unwrap();
}

#[tokio::test]
async fn what_downstream_says_is_told() {
    let proxy = Proxy::start("", "max_backoff_retries = 5\nmin_backoff_period = \"1ms\"").await;
    proxy.downstream.refuse(429, r#"{"code":"resource_exhausted","message":"enough"}"#);
    let reply = proxy.post(SHOULD, &[PROTO], "").await;
    assert_eq!(reply.status, 429);
    assert!(reply.text().contains("\"code\":\"resource_exhausted\""), "{}", reply.text());
    let reply = proxy.post(&format!("{UPLOAD}ab"), &[], "abc").await;
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (502, "downstream upload: upload: HTTP 429\n"));
    // Profilers come again by themselves.
    assert_eq!(proxy.downstream.count(), 2);
    assert_eq!(proxy.counted("ShouldInitiateUpload", "failure").await, 1.0);
    assert_eq!(proxy.counted("Upload", "failure").await, 1.0);

    for (path, method, status) in [
        (SHOULD, Method::GET, 405),
        ("/debuginfo.v1alpha1.DebuginfoService/Upload/ab", Method::PUT, 405),
        ("/debuginfo.v1alpha1.DebuginfoService/Upload/", Method::POST, 404),
        ("/debuginfo.v1alpha1.DebuginfoService/Upload/a/b", Method::POST, 404),
        ("/debuginfo.v1alpha1.DebuginfoService/ListDebuginfo", Method::POST, 404),
        (SHOULD, Method::POST, 415),
    ] {
        let reply = send(method.clone(), &format!("{}{path}", proxy.url), &[], Bytes::new()).await.unwrap();
        assert_eq!(reply.status, status, "{method} {path}");
    }
    assert_eq!(proxy.downstream.count(), 2);
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_taken() {
    let configuration = ReceiveHttp { label: "default", writes: &["default"], ..Default::default() }.block()
        + &blocks::write("default", &[], "");
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    let reply = post(&format!("{url}{FINISHED}"), &[PROTO], "").await.unwrap();
    assert_eq!(reply.status, 503);
    let expected = r#"{"code":"unavailable","message":"no downstream endpoints available"}"#;
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    assert_eq!(json(&reply.text()), json(expected));
    let reply = post(&format!("{url}{UPLOAD}ab"), &[], "abc").await.unwrap();
    assert_eq!((reply.status.as_u16(), reply.text().as_str()), (503, "no downstream endpoints available\n"));
}

#[tokio::test]
async fn a_file_that_takes_too_long_is_given_up() {
    let short = "debug_info_upload_timeout = \"1s\"";
    // A sender that stalls, and a downstream that does.
    let proxy = Proxy::start(short, "").await;
    let mut connection = RawConnection::open(proxy.address).await.unwrap();
    connection.send(format!("POST {UPLOAD}ab HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nabc")).await.unwrap();
    let reply = connection.reply().await.unwrap().unwrap();
    assert_eq!(reply.status, 502);
    assert!(reply.body.contains("the receiver's debug_info_upload_timeout (1s)"), "{}", reply.body);

    let proxy = Proxy::start("", short).await;
    proxy.downstream.stall();
    let reply = proxy.post(&format!("{UPLOAD}ab"), &[], "abc").await;
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("the endpoint's debug_info_upload_timeout (1s)"), "{}", reply.text());
}
