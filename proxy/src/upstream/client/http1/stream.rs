//! What a connection goes over: a socket, or TLS on one.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use http::Uri;
use http::uri::Authority;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::upstream::http_client::BoxError;

/// Servers that are remembered to speak HTTP/2. Of one beyond these it is found out again for each request.
const MOST_SERVERS: usize = 4096;

/// A connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How TLS is begun.
pub(in crate::upstream::client) struct Tls {
    connector: TlsConnector,
    /// The name that the server must prove to have, where it is not the URL's.
    server_name: Option<ServerName<'static>>,
    /// Servers that have chosen HTTP/2.
    http2: Mutex<HashSet<Authority>>,
}

/// What came of a handshake.
pub(super) enum Agreed {
    Http1(Stream),
    Http2,
}

impl Tls {
    /// With these settings, their ALPN included.
    pub(in crate::upstream::client) fn new(
        settings: Arc<ClientConfig>,
        server_name: Option<ServerName<'static>>,
    ) -> Self {
        Self { connector: settings.into(), server_name, http2: Mutex::default() }
    }

    /// Whether the server has chosen HTTP/2 before.
    pub(super) fn has_chosen_http2(&self, server: &Authority) -> bool {
        self.http2.lock().unwrap_or_else(PoisonError::into_inner).contains(server)
    }

    pub(super) async fn begin(&self, uri: &Uri, server: &Authority, socket: TcpStream) -> Result<Agreed, BoxError> {
        let name = match &self.server_name {
            Some(name) => name.clone(),
            None => {
                let host = uri.host().unwrap_or_default();
                // Brackets belong to the URL, not to the address.
                let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
                ServerName::try_from(host)?.to_owned()
            }
        };
        let stream = self.connector.connect(name, socket).await?;
        if stream.get_ref().1.alpn_protocol() != Some(b"h2") {
            return Ok(Agreed::Http1(Stream::Tls(Box::new(stream))));
        }
        let mut http2 = self.http2.lock().unwrap_or_else(PoisonError::into_inner);
        if http2.len() < MOST_SERVERS {
            http2.insert(server.clone());
        }
        Ok(Agreed::Http2)
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}

impl Stream {
    /// Whether the server has neither closed it nor said anything unasked.
    pub(super) fn is_open(&self) -> bool {
        let socket = match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => stream.get_ref().0,
        };
        socket.try_read(&mut [0]).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }
}
