//! Requests that are refused for what they are.

use bytes::Bytes;
use flamegate_tests::gzip;
use flamegate_tests::http_client::send;
use flamegate_tests::push_api::{LabelPair, PUSH_PATH, PushRequest, RawProfileSeries};
use flamegate_tests::push_client::{Protocol, PushClient};
use flamegate_tests::raw_http::RawConnection;
use flamegate_tests::spine::{Settings, Spine, good_push};
use http::Method;
use prost::Message;

const MAX_BODY_SIZE: usize = 256 * 1024;
const LIMITED: &str = "max_body_size = \"256KiB\"";
const INGEST: &str = "/ingest?name=shop";
const PROTO: (&str, &str) = ("content-type", "application/proto");
const JSON: (&str, &str) = ("content-type", "application/json");
const GZIP: (&str, &str) = ("content-encoding", "gzip");
const BROTLI: (&str, &str) = ("content-encoding", "br");

struct Refused {
    what: &'static str,
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, &'static str)>,
    body: Bytes,
    status: u16,
    /// Label of the counter.
    reason: &'static str,
    /// Part of the answer.
    says: &'static str,
    /// A header of the answer.
    header: Option<(&'static str, &'static str)>,
}

impl Refused {
    fn new(what: &'static str, path: &'static str, status: u16, reason: &'static str, says: &'static str) -> Self {
        let (headers, body) = (Vec::new(), Bytes::from_static(b"main 1\n"));
        Self { what, method: Method::POST, path, headers, body, status, reason, says, header: None }
    }

    fn method(self, method: Method) -> Self {
        Self { method, ..self }
    }

    fn headers<const N: usize>(self, headers: [(&'static str, &'static str); N]) -> Self {
        Self { headers: headers.into(), ..self }
    }

    fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn with(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }
}

/// A push whose one label's name is these bytes; a `String` cannot hold them.
fn push_with_label_name(name: &[u8]) -> Vec<u8> {
    let marker = "?".repeat(name.len());
    let labels = vec![LabelPair { name: marker.clone(), value: "x".to_owned() }];
    let series = vec![RawProfileSeries { labels, ..RawProfileSeries::default() }];
    let mut message = PushRequest { series }.encode_to_vec();
    let at = message.windows(name.len()).position(|window| window == marker.as_bytes()).unwrap();
    message[at..at + name.len()].copy_from_slice(name);
    message
}

fn cut(bytes: &[u8]) -> Vec<u8> {
    bytes[..bytes.len() - 10].to_vec()
}

fn refused() -> Vec<Refused> {
    let packed = gzip::compress(&good_push().encode_to_vec()).unwrap();
    let too_many = vec![RawProfileSeries::default(); 70_000];
    let too_many = gzip::compress(&PushRequest { series: too_many }.encode_to_vec()).unwrap();
    let too_large = vec![b'1'; MAX_BODY_SIZE + 1];
    let unpacks_too_large = gzip::compress(&too_large).unwrap();
    let new = Refused::new;
    vec![
        new("unknown path", "/other", 404, "not_found", "/other"),
        new("a path below a known one", "/ingest/x", 404, "not_found", "/ingest/x"),
        new("GET ingest", INGEST, 405, "method", "POST").method(Method::GET).with("allow", "POST"),
        new("PUT push", PUSH_PATH, 405, "method", "POST").method(Method::PUT).with("allow", "POST"),
        new("push without a type", PUSH_PATH, 415, "content_type", "application/proto"),
        new("push of another type", PUSH_PATH, 415, "content_type", "application/proto")
            .headers([("content-type", "text/plain")]),
        new("gRPC over HTTP/1.1", PUSH_PATH, 505, "content_type", "HTTP/2")
            .headers([("content-type", "application/grpc")]),
        new("ingest in brotli", INGEST, 415, "encoding", "\"br\"")
            .headers([BROTLI])
            .with("accept-encoding", "gzip, zstd"),
        // The protocol's own answer to a compression that is not known.
        new("push in brotli", PUSH_PATH, 501, "encoding", "unimplemented").headers([PROTO, BROTLI]),
        new("push of garbage", PUSH_PATH, 400, "malformed", "invalid_argument").headers([PROTO]).body("garbage"),
        new("push cut off", PUSH_PATH, 400, "malformed", "invalid_argument")
            .headers([PROTO])
            .body(cut(&good_push().encode_to_vec())),
        new("push of no JSON", PUSH_PATH, 400, "malformed", "invalid_argument").headers([JSON]).body("{\"series\":["),
        new("push of no base64", PUSH_PATH, 400, "malformed", "invalid_argument")
            .headers([JSON])
            .body("{\"series\":[{\"samples\":[{\"rawProfile\":\"!\"}]}]}"),
        new("push in cut gzip", PUSH_PATH, 400, "malformed", "gzip").headers([PROTO, GZIP]).body(cut(&packed)),
        new("push in no gzip", PUSH_PATH, 400, "malformed", "gzip").headers([PROTO, GZIP]).body("garbage"),
        new("ingest in cut gzip", INGEST, 400, "malformed", "gzip").headers([GZIP]).body(cut(&packed)),
        new("push with a label name that is no UTF-8", PUSH_PATH, 400, "malformed", "UTF-8")
            .headers([PROTO])
            .body(push_with_label_name(b"ab\xff")),
        new("ingest with a name that is no UTF-8", "/ingest?name=a%FF", 400, "malformed", "invalid label value"),
        new("push of too many entries", PUSH_PATH, 400, "malformed", "65536").headers([PROTO, GZIP]).body(too_many),
        new("gRPC-Web in a broken envelope", PUSH_PATH, 200, "malformed", "grpc-status: 3")
            .headers([("content-type", "application/grpc-web")])
            .body(&b"\0\0\0\0\x09ab"[..]),
        new("ingest too large", INGEST, 413, "too_large", "262144").body(too_large.clone()),
        new("push too large", PUSH_PATH, 413, "too_large", "resource_exhausted").headers([PROTO]).body(too_large),
        new("ingest unpacked too large", INGEST, 413, "too_large", "262144")
            .headers([GZIP])
            .body(unpacks_too_large.clone()),
        new("push unpacked too large", PUSH_PATH, 413, "too_large", "resource_exhausted")
            .headers([PROTO, GZIP])
            .body(unpacks_too_large),
    ]
}

#[tokio::test]
async fn each_is_answered_and_counted() {
    let spine = Spine::start(Settings { receive: LIMITED, ..Settings::default() }).await.unwrap();
    for case in refused() {
        let Refused { what, method, path, headers, body, status, reason, says, header } = case;
        let before = spine.refused(reason).await.unwrap();
        let reply = send(method, &format!("{}{path}", spine.url), &headers, body).await.unwrap();
        let text = reply.text();
        assert_eq!(reply.status, status, "{what}: {text}");
        assert!(text.contains(says), "{what}: {text:?} does not say {says:?}");
        if let Some((name, value)) = header {
            assert_eq!(reply.headers.get(name).unwrap(), value, "{what}");
        }
        assert_eq!(spine.refused(reason).await.unwrap(), before + 1.0, "{what} counts as {reason}");
        assert_eq!(spine.backend.attempts().len(), 0, "{what} was forwarded");
    }
    spine.serves().await.unwrap();
}

#[tokio::test]
async fn grpc_says_it_in_its_trailers() {
    /// What, the message, whether it is compressed, further headers, the code and the reason.
    type Case<'c> = (&'c str, &'c [u8], bool, &'c [(&'c str, &'c str)], &'c str, &'c str);
    let spine = Spine::start(Settings { receive: LIMITED, ..Settings::default() }).await.unwrap();
    let large = vec![b'1'; MAX_BODY_SIZE + 1];
    let brotli = ("grpc-encoding", "br");
    let cases: [Case<'_>; 5] = [
        ("garbage", b"garbage", false, &[], "invalid_argument", "malformed"),
        ("packed garbage", b"garbage", true, &[], "invalid_argument", "malformed"),
        ("too large", &large, false, &[], "resource_exhausted", "too_large"),
        ("unpacked too large", &large, true, &[], "resource_exhausted", "too_large"),
        ("another compression", b"", false, &[brotli], "unimplemented", "encoding"),
    ];
    for (protocol, http2) in [(Protocol::Grpc, true), (Protocol::GrpcWeb, true), (Protocol::GrpcWeb, false)] {
        for (what, message, gzip, headers, code, reason) in cases {
            let before = spine.refused(reason).await.unwrap();
            let reply = PushClient { protocol, http2, gzip }.send(&spine.url, message, headers).await.unwrap();
            assert_eq!(reply.error.unwrap().code, code, "{protocol:?}: {what}");
            assert_eq!(spine.refused(reason).await.unwrap(), before + 1.0, "{protocol:?}: {what}");
        }
    }
    spine.serves().await.unwrap();
}

/// Neither a lie in Content-Length nor none at all gets around the limit, and the rest of the body is not waited for.
#[tokio::test]
async fn too_large_is_said_as_soon_as_it_is_known() {
    let spine = Spine::start(Settings { receive: LIMITED, ..Settings::default() }).await.unwrap();
    let announced = format!("content-length: {}", 1_u64 << 40);
    let absurd = format!("content-length: {}", u128::MAX);
    let chunk = format!("{:x}\r\n{}\r\n", MAX_BODY_SIZE + 1, "1".repeat(MAX_BODY_SIZE + 1));
    let cases = [
        ("announced", announced.as_str(), "", Some(413)),
        ("chunked", "transfer-encoding: chunked", chunk.as_str(), Some(413)),
        // No such length, so that the head is none.
        ("absurd", absurd.as_str(), "", None),
    ];
    for (what, header, body, status) in cases {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        connection.send(format!("POST {INGEST} HTTP/1.1\r\nhost: a\r\n{header}\r\n\r\n{body}")).await.unwrap();
        let reply = connection.reply().await.unwrap();
        assert_eq!(reply.map(|reply| reply.status), status, "{what}");
        spine.serves().await.unwrap();
    }
    assert_eq!(spine.refused("too_large").await.unwrap(), 2.0);
}

#[tokio::test]
async fn an_oversized_head_closes_the_connection() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let line = format!("x-filler: {}\r\n", "x".repeat(8 * 1024));
    for lines in [1, 400] {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        let head = format!("POST {INGEST} HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n{}", line.repeat(lines));
        // It may be closed before all of it is sent.
        let sent = connection.send(head).await.is_ok() && connection.send("\r\nmain 1\n").await.is_ok();
        let reply = connection.reply().await.unwrap_or_default();
        match lines {
            1 => assert_eq!(reply.unwrap().status, 200, "eight kilobytes are no fault"),
            _ => assert!(reply.as_ref().is_none_or(|reply| reply.status == 431), "sent: {sent}, {reply:?}"),
        }
    }
    spine.serves().await.unwrap();
}

/// Bytes that are no HTTP, or HTTP of which nobody can say where it ends.
#[tokio::test]
async fn nonsense_is_not_served() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let twice = "content-length: 7\r\ncontent-length: 8\r\n\r\nmain 1\n1";
    let cases = [
        "\x16\x03\x01\x02\x00\x01\x00\x01\u{fc}\x03\x03 a TLS hello\r\n\r\n".to_owned(),
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n and no frame of HTTP/2".to_owned(),
        "GARBAGE\r\n\r\n".to_owned(),
        format!("POST {INGEST} HTTP/1.1\r\nhost: a\r\n{twice}"),
        format!("POST {INGEST} HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n"),
        format!("POST {INGEST} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nmain 1\n"),
    ];
    for bytes in cases {
        let mut connection = RawConnection::open(spine.address).await.unwrap();
        connection.send(&bytes).await.unwrap();
        // Closed, or answered 4xx; an answer that is no HTTP/1.1 is the other version's.
        match connection.reply().await {
            Ok(reply) => assert!(reply.as_ref().is_none_or(|reply| reply.status / 100 == 4), "{bytes:?}: {reply:?}"),
            Err(error) => {
                assert_ne!(error.kind(), std::io::ErrorKind::TimedOut, "{bytes:?} is neither answered nor closed")
            }
        }
        let forwarded = spine.backend.received().iter().filter(|series| series.service_name() == "shop").count();
        spine.serves().await.unwrap();
        assert_eq!(spine.backend.received().len(), forwarded + 1, "{bytes:?} was forwarded");
    }
}

/// Of a body with two lengths the one who is before us may have read the other: whatever follows on the connection is
/// not to be trusted (RFC 9112, section 6.1).
#[tokio::test]
async fn a_body_with_two_lengths_ends_the_connection() {
    let spine = Spine::start(Settings::default()).await.unwrap();
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    let both = "content-length: 7\r\ntransfer-encoding: chunked\r\n\r\n7\r\nmain 1\n\r\n0\r\n\r\n";
    connection.send(format!("POST {INGEST} HTTP/1.1\r\nhost: a\r\n{both}")).await.unwrap();
    if let Some(reply) = connection.reply().await.unwrap() {
        let closing = reply.headers.get("connection").is_some_and(|value| value == "close");
        assert!(closing || reply.status == 400, "{reply:?}");
    }
    spine.serves().await.unwrap();
}
