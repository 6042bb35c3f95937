//! The same over TLS.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::*;
use crate::tls::tests::certificates::Authority as Signer;

struct Server {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Server {
    /// A server that offers these protocols, and a client that trusts it and offers both.
    async fn start(offered: &[&[u8]]) -> (Self, Http1, String) {
        let signer = Signer::new("tests");
        let identity = signer.server();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let certificate = CertificateDer::from_pem_slice(identity.certificate.as_bytes()).unwrap();
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let mut config = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)
            .unwrap();
        config.alpn_protocols = offered.iter().map(|name| name.to_vec()).collect();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(signer.pem.as_bytes()).unwrap()).unwrap();
        let mut trusting = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        trusting.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}/ingest", listener.local_addr().unwrap().port());
        let client = Http1::new(Route::new(None, Dialing::default()), Some(Tls::new(Arc::new(trusting), None)));
        (Self { listener, acceptor: Arc::new(config).into() }, client, url)
    }

    async fn accept(&self) -> TlsStream<TcpStream> {
        let (socket, _) = self.listener.accept().await.unwrap();
        self.acceptor.accept(socket).await.unwrap()
    }
}

fn request(url: &str, body: Vec<Bytes>) -> Request<Segments> {
    let mut request = Request::new(Segments::from(body));
    *request.uri_mut() = url.parse().unwrap();
    *request.method_mut() = Method::POST;
    request
}

#[tokio::test]
async fn a_connection_over_tls_is_used_again_and_many_pieces_arrive_in_order() {
    let (server, client, url) = Server::start(&[b"http/1.1"]).await;
    let pieces: Vec<Bytes> = (0..50).map(|index| Bytes::from(format!("<{index}>").repeat(3000))).collect();
    let body = pieces.concat();
    let length = body.len();
    let serving = tokio::spawn(async move {
        let mut stream = server.accept().await;
        let mut bodies = Vec::new();
        for _ in 0..2 {
            let request = receive(&mut stream, length).await;
            bodies.push(request.split_once("\r\n\r\n").unwrap().1.to_owned());
            stream.write_all(OK).await.unwrap();
            stream.flush().await.unwrap();
        }
        bodies
    });
    for _ in 0..2 {
        let answer = client.send(Connection::Any, &request(&url, pieces.clone())).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
    }
    assert!(serving.await.unwrap().iter().all(|sent| sent.as_bytes() == body), "the pieces are not what was sent");
}

/// With the word that TLS has for it, or without, and whether or not the client has sent something by then.
#[tokio::test]
async fn a_connection_over_tls_that_was_closed_meanwhile_costs_nothing() {
    for (announces, reads_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let (server, client, url) = Server::start(&[]).await;
        let serving = tokio::spawn(async move {
            let mut stream = server.accept().await;
            receive(&mut stream, 3).await;
            stream.write_all(OK).await.unwrap();
            stream.flush().await.unwrap();
            if reads_first {
                receive(&mut stream, 3).await;
            }
            if announces {
                stream.shutdown().await.unwrap();
            }
            drop(stream);
            let mut stream = server.accept().await;
            receive(&mut stream, 3).await;
            stream.write_all(OK).await.unwrap();
            stream.flush().await.unwrap();
        });
        for _ in 0..2 {
            let answer = client.send(Connection::Any, &request(&url, vec![Bytes::from("abc")])).await.unwrap();
            assert_eq!(answer.status, StatusCode::OK, "{announces} {reads_first}");
        }
        serving.await.unwrap();
    }
}

#[tokio::test]
async fn a_server_that_chooses_http2_is_left_to_those_who_speak_it() {
    let (server, client, url) = Server::start(&[b"h2", b"http/1.1"]).await;
    let serving = tokio::spawn(async move {
        drop(server.accept().await);
        server.listener
    });
    let ask = async || client.send(Connection::Any, &request(&url, Vec::new())).await.unwrap_err();
    assert!(matches!(ask().await, Http1Error::ChoseHttp2));
    // It is remembered: nobody listens any more.
    drop(serving.await.unwrap());
    assert!(matches!(ask().await, Http1Error::ChoseHttp2));
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_sent_nothing() {
    let (server, _, url) = Server::start(&[]).await;
    let (_other, client, _) = Server::start(&[]).await;
    let serving = tokio::spawn(async move {
        let (socket, _) = server.listener.accept().await.unwrap();
        server.acceptor.accept(socket).await.unwrap_err()
    });
    let error = client.send(Connection::Any, &request(&url, Vec::new())).await.unwrap_err();
    assert!(error.is_unreachable() && error.to_string().contains("invalid peer certificate"), "{error}");
    serving.await.unwrap();
}
