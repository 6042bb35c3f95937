//! The receiver over TLS, on the wire.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use self::certificates::{Authority, Identity};
use super::*;
use flamegate_tests::polling::DEADLINE;

#[path = "../../../proxy/src/tls/tests/certificates.rs"]
mod certificates;

/// What a client brings.
#[derive(Clone, Copy)]
struct Client<'c> {
    trusts: &'c Authority,
    identity: Option<&'c Identity>,
    alpn: &'c [&'c str],
}

impl<'c> Client<'c> {
    fn trusting(trusts: &'c Authority) -> Self {
        Self { trusts, identity: None, alpn: &[] }
    }

    fn config(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.trusts.pem.as_bytes()).unwrap()).unwrap();
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match self.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let certificate = CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![certificate], PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap())
                    .unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        config
    }

    async fn connect(&self, address: SocketAddr) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = TlsConnector::from(Arc::new(self.config())).connect(name, stream);
        timeout(DEADLINE, connecting).await.unwrap_or_else(|_| panic!("no handshake within {DEADLINE:?}"))
    }

    /// The status of a profile that is sent. In TLS 1.3 a client learns that it is refused only when it reads.
    async fn ingest(&self, address: SocketAddr) -> Result<u16, String> {
        let stream = self.connect(address).await.map_err(|error| error.to_string())?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let mut sender = Sender::over(stream, http2).await?;
        let status = sender.ingest().await?;
        // A second one on the same connection.
        assert_eq!(sender.ingest().await.as_ref(), Ok(&status));
        Ok(status)
    }
}

enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Sender {
    async fn over(stream: TlsStream<TcpStream>, http2: bool) -> Result<Self, String> {
        let stream = TokioIo::new(stream);
        if http2 {
            let handshake = http2::handshake(TokioExecutor::new(), stream).await;
            let (sender, connection) = handshake.map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            return Ok(Self::Http2(sender));
        }
        let (sender, connection) = http1::handshake(stream).await.map_err(|error| error.to_string())?;
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    async fn ingest(&mut self) -> Result<u16, String> {
        let request = http::Request::post("https://localhost/ingest?name=shop").header("host", "localhost");
        let request = request.body(Full::new(Bytes::from_static(b"main 1\n"))).unwrap();
        let sending = async {
            let response = match self {
                Self::Http1(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
                Self::Http2(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await?
                }
            };
            let status = response.status().as_u16();
            response.into_body().collect().await?;
            Ok(status)
        };
        let sent = timeout(DEADLINE, sending).await.unwrap_or_else(|_| panic!("no answer within {DEADLINE:?}"));
        sent.map_err(|error: hyper::Error| format!("{error:?}"))
    }
}

fn inline(identity: &Identity, more: &str) -> String {
    format!("tls {{\ncert_pem = `{}`\nkey_pem = `{}`\n{more}\n}}", identity.certificate, identity.key)
}

fn files(folder: &Path, identity: &Identity) -> String {
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    fs::write(&certificate, &identity.certificate).unwrap();
    fs::write(&key, &identity.key).unwrap();
    format!("tls {{\ncert_file = \"{}\"\nkey_file = \"{}\"\n}}", certificate.display(), key.display())
}

async fn start(http: &str) -> Spine {
    Spine::start(Settings { http, ..Settings::default() }).await.unwrap()
}

async fn failed_handshakes(spine: &Spine) -> f64 {
    spine.metric("flamegate_tls_handshake_failures_total", &[("listener", RECEIVE)]).await.unwrap()
}

#[tokio::test]
async fn alpn_says_which_version_of_http_it_is() {
    let authority = Authority::new("authority");
    let spine = start(&inline(&authority.server(), "")).await;
    for (alpn, agreed) in [
        (&[][..], None),
        (&["http/1.1"], Some(&b"http/1.1"[..])),
        (&["http/1.1", "h2"], Some(b"h2")),
        (&["h2"], Some(b"h2")),
    ] {
        let client = Client { alpn, ..Client::trusting(&authority) };
        let stream = client.connect(spine.address).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), agreed, "{alpn:?}");
        assert_eq!(client.ingest(spine.address).await, Ok(200), "{alpn:?}");
    }
    assert_eq!(spine.backend.received().len(), 8);
    assert_eq!(failed_handshakes(&spine).await, 0.0);
}

/// Every kind of `client_auth_type` is tried where certificates are verified; here is one of each outcome.
#[tokio::test]
async fn clients_prove_who_they_are() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let (server, good, bad) = (ours.server(), ours.client(), theirs.client());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("clients.pem");
    fs::write(&file, &ours.pem).unwrap();
    let verify = "client_auth_type = \"RequireAndVerifyClientCert\"\n";
    for (more, expected) in [
        ("client_auth_type = \"RequireAnyClientCert\"".to_owned(), [false, true, true]),
        (format!("{verify}client_ca = `{}`", ours.pem), [false, false, true]),
        (format!("{verify}client_ca_pem = `{}`", ours.pem), [false, false, true]),
        (format!("{verify}client_ca_file = \"{}\"", file.display()), [false, false, true]),
    ] {
        let spine = start(&inline(&server, &more)).await;
        for (identity, expected) in [None, Some(&bad), Some(&good)].into_iter().zip(expected) {
            let sent = Client { identity, ..Client::trusting(&ours) }.ingest(spine.address).await;
            assert_eq!(sent.is_ok(), expected, "{more}: {sent:?}");
        }
        let refused = expected.iter().filter(|expected| !**expected).count();
        assert_eq!(failed_handshakes(&spine).await, refused as f64, "{more}");
        assert!(spine.flamegate.logs().iter().any(|line| line.contains("TLS handshake failed")), "{more}");
    }
}

#[tokio::test]
async fn certificates_that_change_are_read_without_a_reload() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let folder = tempfile::tempdir().unwrap();
    let spine = start(&files(folder.path(), &first.server())).await;
    let (old, new) = (Client::trusting(&first), Client::trusting(&second));
    let stream = old.connect(spine.address).await.unwrap();
    let mut stays = Sender::over(stream, false).await.unwrap();
    assert_eq!(stays.ingest().await, Ok(200));

    // Files that cannot be used change nothing.
    fs::write(folder.path().join("key.pem"), "no key").unwrap();
    eventually("the files were looked at", async || {
        assert_eq!(old.ingest(spine.address).await, Ok(200));
        let failures = [("listener", RECEIVE)];
        let failed = spine.metric("flamegate_tls_reload_failures_total", &failures).await.ok()?;
        (failed > 0.0).then_some(())
    })
    .await
    .unwrap();
    files(folder.path(), &second.server());
    eventually("the second certificate is used", async || new.ingest(spine.address).await.ok()).await.unwrap();
    assert!(old.ingest(spine.address).await.is_err());
    assert_eq!(stays.ingest().await, Ok(200), "a connection stays");
}

#[tokio::test]
async fn a_handshake_has_a_deadline_and_takes_a_place() {
    let authority = Authority::new("authority");
    let http = inline(&authority.server(), "") + "\nconn_limit = 1\nserver_read_timeout = \"1s\"";
    let spine = start(&http).await;
    for begun in [&b""[..], &[22, 3, 1]] {
        let mut silent = TcpStream::connect(spine.address).await.unwrap();
        silent.write_all(begun).await.unwrap();
        // There is room for it only when the silent one is gone.
        assert_eq!(Client::trusting(&authority).ingest(spine.address).await, Ok(200));
        let mut rest = Vec::new();
        timeout(DEADLINE, silent.read_to_end(&mut rest)).await.unwrap().unwrap();
    }
    assert_eq!(failed_handshakes(&spine).await, 2.0);
    // Who only looks whether the port is open fails at nothing.
    drop(TcpStream::connect(spine.address).await.unwrap());
    assert_eq!(Client::trusting(&authority).ingest(spine.address).await, Ok(200));
    assert_eq!(failed_handshakes(&spine).await, 2.0);
}

#[tokio::test]
async fn who_does_not_speak_tls_is_told_so() {
    let authority = Authority::new("authority");
    let spine = start(&inline(&authority.server(), "")).await;
    let mut connection = RawConnection::open(spine.address).await.unwrap();
    connection.send("POST /ingest?name=a HTTP/1.1\r\nhost: a\r\ncontent-length: 7\r\n\r\nmain 1\n").await.unwrap();
    let reply = connection.reply().await.unwrap().unwrap();
    assert_eq!((reply.status, reply.body.as_str()), (400, "Client sent an HTTP request to an HTTPS server.\n"));
    assert_eq!(connection.reply().await.unwrap(), None);
    assert_eq!(failed_handshakes(&spine).await, 1.0);
}

#[tokio::test]
async fn a_reload_changes_how_connections_are_secured() {
    let (first, second) = (Authority::new("first"), Authority::new("second"));
    let (one, other) = (inline(&first.server(), ""), inline(&second.server(), ""));
    let spine = start(&one).await;
    let stream = Client::trusting(&first).connect(spine.address).await.unwrap();
    let mut open = Sender::over(stream, false).await.unwrap();
    assert_eq!(open.ingest().await, Ok(200));
    // The same block: the connection stays.
    let more = spine.configuration.replace("forward_to", "max_body_size = \"1MiB\"\nforward_to");
    spine.flamegate.reload(&more).await.unwrap();
    assert_eq!(open.ingest().await, Ok(200));
    assert_eq!(open.ingest().await, Ok(200));

    spine.flamegate.reload(&spine.configuration.replace(&one, &other)).await.unwrap();
    assert_eq!(Client::trusting(&second).ingest(spine.address).await, Ok(200));
    // Its last answer tells the old connection to go.
    assert_eq!(open.ingest().await, Ok(200));
    assert!(open.ingest().await.is_err());

    let refused = spine.flamegate.reload(&spine.configuration.replace(&one, "tls { cert_file = \"/none\" }")).await;
    assert!(refused.unwrap_err().to_string().contains("must specify either key_pem or key_file"));
    let refused = spine.configuration.replace(&one, "tls {\ncert_file = \"/none\"\nkey_file = \"/none\"\n}");
    let refused = spine.flamegate.reload(&refused).await.unwrap_err().to_string();
    assert!(refused.contains("cert_file /none: cannot be read"), "{refused}");
    assert_eq!(Client::trusting(&second).ingest(spine.address).await, Ok(200));

    spine.flamegate.reload(&spine.configuration.replace(&one, "")).await.unwrap();
    spine.serves().await.unwrap();
}
