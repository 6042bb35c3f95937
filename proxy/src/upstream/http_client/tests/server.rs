//! A server that answers by the request's target and keeps what it was asked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

pub(crate) type Answers = HashMap<String, String>;

/// Of a client or a server: signed by itself.
pub(crate) struct Identity {
    pub(super) certificate: String,
    pub(super) key: String,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new([name.to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

pub(crate) struct Server {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    _serving: JoinSet<()>,
}

#[derive(Clone)]
enum Role {
    Answering(Answers),
    Tls(Answers, TlsAcceptor),
    Proxy,
}

impl Server {
    pub(crate) async fn start(answers: Answers) -> Self {
        Self::start_as(Role::Answering(answers)).await
    }

    /// Speaks TLS, and hangs up on those that want HTTP/2; asks for the certificate of a client where one is given.
    pub(crate) async fn start_tls(answers: Answers, identity: &Identity, client: Option<&Identity>) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder =
            ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let builder = match client {
            None => builder.with_no_client_auth(),
            Some(client) => {
                let mut roots = RootCertStore::empty();
                roots.add(client.certificate()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
                builder.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
        let mut config = builder.with_single_cert(vec![identity.certificate()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        Self::start_as(Role::Tls(answers, TlsAcceptor::from(Arc::new(config)))).await
    }

    /// A proxy for tunnels.
    pub(crate) async fn start_proxy() -> Self {
        Self::start_as(Role::Proxy).await
    }

    async fn start_as(role: Role) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let mut serving = JoinSet::new();
        let kept = asked.clone();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (role, kept) = (role.clone(), kept.clone());
                connections.spawn(async move {
                    match role {
                        Role::Answering(answers) => answer(stream, &answers, &kept).await,
                        Role::Tls(answers, acceptor) => {
                            // A client that does not trust us hangs up.
                            let Ok(stream) = acceptor.accept(stream).await else { return };
                            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                                kept.lock().unwrap().push("h2".to_owned());
                            } else {
                                answer(stream, &answers, &kept).await;
                            }
                        }
                        Role::Proxy => tunnel(stream, &kept).await,
                    }
                });
            }
        });
        Self { address, asked, _serving: serving }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Requests so far.
    pub(crate) fn count(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    /// The last request, its body behind it.
    pub(crate) fn last(&self) -> String {
        self.asked.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answers: &Answers, asked: &Mutex<Vec<String>>) {
    let Some(request) = read(&mut stream).await else { return };
    let target = request.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(request);
    let unknown = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned();
    // The client may hang up before it has read all: that is what a test is about.
    let _written = stream.write_all(answers.get(&target).unwrap_or(&unknown).as_bytes()).await;
    let _closed = stream.shutdown().await;
}

async fn tunnel(mut stream: TcpStream, asked: &Mutex<Vec<String>>) {
    let Some(request) = read(&mut stream).await else { return };
    let target = request.split(' ').nth(1).unwrap().to_owned();
    asked.lock().unwrap().push(request);
    let mut server = TcpStream::connect(target).await.unwrap();
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
    let _ended = tokio::io::copy_bidirectional(&mut stream, &mut server).await;
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut read = String::new();
    loop {
        let mut chunk = [0; 4096];
        let length = stream.read(&mut chunk).await.ok().filter(|length| *length > 0)?;
        read.push_str(str::from_utf8(&chunk[..length]).unwrap());
        let Some((head, body)) = read.split_once("\r\n\r\n") else { continue };
        let expected = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap_or("0");
        if body.len() >= expected.parse().unwrap() {
            return Some(read);
        }
    }
}
