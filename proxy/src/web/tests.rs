//! The admin listener on a real socket, with an app of one route.

use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{Scope, StdlibOptions, decode_block, parse_file};
use axum::Router;
use axum::http::{HeaderMap, Request, StatusCode, header};
use axum::routing::get;
use base64::Engine as _;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;

use super::{AdminSettings, CurrentSettings, accept};
use crate::config_blocks::HttpArguments;
use crate::telemetry::metrics::Metrics;
use crate::tls::tests::certificates::Authority;

const BASIC: &str = "basic {\n username = \"admin\"\n password = \"se:cret\"\n}";

struct Server {
    address: std::net::SocketAddr,
    settings: Arc<CurrentSettings>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Server {
    async fn start(http: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, settings) = (listener.local_addr().unwrap(), Arc::<CurrentSettings>::default());
        settings.apply(build(http).unwrap());
        let app = Router::new().route("/metrics", get(|| async { "figures\n" }));
        let (stop, stopping) = oneshot::channel();
        let stopping = async move { stopping.await.unwrap() };
        let serving = tokio::spawn(accept::serve(listener, app, settings.clone(), stopping));
        Self { address, settings, stop, serving }
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }

    async fn connect_tls(&self, trusts: &Authority, alpn: &[&str]) -> tokio_rustls::client::TlsStream<TcpStream> {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(trusts.pem.as_bytes()).unwrap()).unwrap();
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        let connector = TlsConnector::from(Arc::new(config));
        connector.connect(ServerName::try_from("localhost").unwrap(), self.connect().await).await.unwrap()
    }
}

fn build(http: &str) -> Result<AdminSettings, String> {
    let file = parse_file("test", &format!("http {{\n{http}\n}}")).unwrap();
    let scope = Scope::stdlib(&StdlibOptions::default());
    let block: HttpArguments = decode_block(file.body.blocks().next().unwrap(), &scope).unwrap();
    AdminSettings::build(&block, &Metrics::new()).map_err(|invalid| invalid.message)
}

fn tls(authority: &Authority) -> String {
    let identity = authority.server();
    format!("tls {{\n cert_pem = `{}`\n key_pem = `{}`\n}}", identity.certificate, identity.key)
}

fn request(address: &str, path: &str, login: Option<&str>) -> Request<Empty<Bytes>> {
    let mut request = Request::get(format!("http://{address}{path}")).header(header::HOST, address);
    if let Some(login) = login {
        let encoded = base64::engine::general_purpose::STANDARD.encode(login);
        request = request.header(header::AUTHORIZATION, format!("Basic {encoded}"));
    }
    request.body(Empty::new()).unwrap()
}

type Answer = (StatusCode, HeaderMap, String);

async fn read(response: http::Response<hyper::body::Incoming>) -> Answer {
    let (head, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (head.status, head.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn ask_http1(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    path: &str,
    login: Option<&str>,
) -> Answer {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    read(sender.send_request(request("localhost", path, login)).await.unwrap()).await
}

async fn ask_http2(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, path: &str) -> Answer {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    read(sender.send_request(request("localhost", path, None)).await.unwrap()).await
}

#[tokio::test]
async fn http_of_both_versions_with_and_without_tls() {
    let authority = Authority::new("authority");
    let plain = Server::start("").await;
    assert_eq!(ask_http1(plain.connect().await, "/metrics", None).await.2, "figures\n");
    assert_eq!(ask_http2(plain.connect().await, "/metrics").await.2, "figures\n");
    assert_eq!(ask_http1(plain.connect().await, "/other", None).await.0, StatusCode::NOT_FOUND);

    let secure = Server::start(&tls(&authority)).await;
    let stream = secure.connect_tls(&authority, &["h2", "http/1.1"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    assert_eq!(ask_http2(stream, "/metrics").await.2, "figures\n");
    for alpn in [&["http/1.1"][..], &[]] {
        let stream = secure.connect_tls(&authority, alpn).await;
        assert_eq!(ask_http1(stream, "/metrics", None).await.2, "figures\n");
    }
}

#[tokio::test]
async fn a_request_in_plain_text_is_told_of_tls() {
    let server = Server::start(&tls(&Authority::new("authority"))).await;
    let (status, headers, text) = ask_http1(server.connect().await, "/metrics", None).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert_eq!(headers[header::CONNECTION], "close");
    assert_eq!(text, "Client sent an HTTP request to an HTTPS server.\n");
}

#[tokio::test]
async fn tls_on_a_listener_of_plain_text_ends_the_connection() {
    let server = Server::start("").await;
    let mut stream = server.connect().await;
    stream.write_all(&[0x16, 3, 1, 0, 2, 1, 0, 0x0d, 0x0a]).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
}

#[tokio::test]
async fn a_stalled_handshake_keeps_no_one_waiting() {
    let authority = Authority::new("authority");
    let server = Server::start(&tls(&authority)).await;
    let (silent, mut begun) = (server.connect().await, server.connect().await);
    begun.write_all(&[0x16, 3, 1]).await.unwrap();
    let stream = server.connect_tls(&authority, &["h2"]).await;
    assert_eq!(ask_http2(stream, "/metrics").await.2, "figures\n");
    // Neither are waited for at the end.
    server.stop.send(()).unwrap();
    server.serving.await.unwrap();
    drop((silent, begun));
}

#[tokio::test(start_paused = true)]
async fn heads_and_handshakes_have_deadlines() {
    let authority = Authority::new("authority");
    let (plain, secure) = (Server::start("").await, Server::start(&tls(&authority)).await);
    for (server, begins) in [
        (&plain, &b""[..]),
        (&plain, b"PRI * HTTP/2.0\r\n"),
        (&plain, b"GET /metrics HTTP/1.1\r\nHost: a\r\n"),
        // HTTP/2 to the end of the settings, then nothing.
        (&plain, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0"),
        (&secure, b""),
        (&secure, &[0x16, 3, 1]),
    ] {
        let mut stream = server.connect().await;
        stream.write_all(begins).await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(600), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "{begins:?}: {answer:?}");
    }
}

#[tokio::test]
async fn paths_ask_for_a_user_as_the_filter_says() {
    let filter = |paths: &str, matching: bool| {
        format!("{BASIC}\nfilter {{\n paths = [{paths}]\n authenticate_matching_paths = {matching}\n}}")
    };
    // What stands in `auth`, then for each path whether it asks.
    let table = [
        (BASIC.to_owned(), vec![("/metrics", true), ("/other", true)]),
        (format!("{BASIC}\nfilter {{ }}"), vec![("/metrics", false)]),
        (filter("", false), vec![("/metrics", true)]),
        (
            filter("\"/metrics\", \"/v1\"", true),
            vec![("/metrics", true), ("/metrics2", true), ("/%6detrics", true), ("/v1/x?y", true), ("/x", false)],
        ),
        (filter("\"/metrics\"", false), vec![("/metrics", false), ("/metrics/x", false), ("/x?/metrics", true)]),
        ("filter { paths = [\"/metrics\"] }".to_owned(), vec![("/metrics", false)]),
    ];
    for (auth, paths) in table {
        let server = Server::start(&format!("auth {{\n{auth}\n}}")).await;
        for (path, asks) in paths {
            let (status, headers, _) = ask_http1(server.connect().await, path, None).await;
            assert_eq!(status == StatusCode::UNAUTHORIZED, asks, "{auth}: {path}: {status}");
            let challenge = headers.get(header::WWW_AUTHENTICATE).map(|value| value.to_str().unwrap());
            assert_eq!(challenge, asks.then_some("Basic realm=\"Restricted\""), "{auth}: {path}");
            let (status, ..) = ask_http1(server.connect().await, path, Some("admin:se:cret")).await;
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{auth}: {path}");
        }
    }
}

#[tokio::test]
async fn only_the_user_with_the_password_comes_in() {
    let server = Server::start(&format!("auth {{\n{BASIC}\n}}")).await;
    let encode = |login: &str| base64::engine::general_purpose::STANDARD.encode(login);
    let right = encode("admin:se:cret");
    let table = [
        (format!("Basic {right}"), 200),
        (format!("bAsIc {right}"), 200),
        (format!("Basic {}", encode("admin:se:cre")), 401),
        (format!("Basic {}", encode("admin:se:cret ")), 401),
        (format!("Basic {}", encode("Admin:se:cret")), 401),
        (format!("Basic {}", encode("admin:")), 401),
        (format!("Basic {}", encode("admin")), 401),
        (format!("Basic {}", encode("")), 401),
        (format!("Bearer {right}"), 401),
        (format!("Basic{right}"), 401),
        ("Basic !".to_owned(), 401),
        ("Basic ".to_owned(), 401),
        (String::new(), 401),
    ];
    for (authorization, expected) in table {
        let mut stream = server.connect().await;
        let head =
            format!("GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\nAuthorization: {authorization}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {expected} ")), "{authorization:?}: {answer}");
    }
}

#[tokio::test]
async fn a_reload_changes_what_comes_after_it() {
    let authority = Authority::new("authority");
    let server = Server::start("").await;
    let (mut sender, connection) = http1::handshake(TokioIo::new(server.connect().await)).await.unwrap();
    tokio::spawn(connection);
    let mut ask = async || read(sender.send_request(request("a", "/metrics", None)).await.unwrap()).await.0;
    assert_eq!(ask().await, StatusCode::OK);

    server.settings.apply(build(&format!("{}\nauth {{\n{BASIC}\n}}", tls(&authority))).unwrap());
    // The connection stays as it is, and its next request needs a password.
    assert_eq!(ask().await, StatusCode::UNAUTHORIZED);
    let stream = server.connect_tls(&authority, &["h2"]).await;
    assert_eq!(ask_http2(stream, "/metrics").await.0, StatusCode::UNAUTHORIZED);

    server.settings.apply(AdminSettings::default());
    assert_eq!(ask().await, StatusCode::OK);
    assert_eq!(ask_http1(server.connect().await, "/metrics", None).await.0, StatusCode::OK);
}

#[tokio::test]
async fn certificates_that_cannot_be_used_are_refused_before_anything_changes() {
    let refused = build("tls {\n cert_file = \"missing.pem\"\n key_file = \"missing.key\"\n}").err().unwrap();
    assert!(refused.starts_with("cert_file missing.pem: cannot be read: "), "{refused}");
}

#[tokio::test]
async fn the_end_waits_for_no_idle_connection() {
    let server = Server::start("").await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(server.connect().await)).await.unwrap();
    tokio::spawn(connection);
    let answer = read(sender.send_request(request("a", "/metrics", None)).await.unwrap()).await;
    assert_eq!(answer.0, StatusCode::OK);
    let kept = server.connect().await;
    server.stop.send(()).unwrap();
    server.serving.await.unwrap();
    drop(kept);
}
