//! How connections are opened: TLS over a direct way or over one through a proxy, and the versions of HTTP on them.

use std::sync::Arc;

use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, ResolveServerName};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;

use super::http_client::{Dialing, Proxies, Route};

/// What is spoken over TLS. Without it that is HTTP/1.1, or HTTP/2 alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// HTTP/1.1 alone.
    Http1Only,
    /// HTTP/2 with those that offer it.
    Both,
    /// HTTP/2 even where no TLS handshake agrees upon it, as gRPC needs it.
    Http2Only,
}

impl Versions {
    /// Those that `enable_http2` stands for.
    pub(super) fn of(enable_http2: bool) -> Self {
        if enable_http2 { Self::Both } else { Self::Http1Only }
    }

    fn alpn(self) -> Vec<Vec<u8>> {
        let names: &[&[u8]] = match self {
            Self::Http1Only => &[],
            Self::Both => &[b"h2", b"http/1.1"],
            Self::Http2Only => &[b"h2"],
        };
        names.iter().map(|name| name.to_vec()).collect()
    }
}

/// The settings of TLS on which these versions are spoken.
pub(super) fn speaking(versions: Versions, mut tls: ClientConfig) -> Arc<ClientConfig> {
    tls.alpn_protocols = versions.alpn();
    Arc::new(tls)
}

/// Opens connections with these settings, as [`speaking`] makes them; `dialing` says where sockets lead.
pub(super) fn connector(
    tls: Arc<ClientConfig>,
    server_name: Option<ServerName<'static>>,
    proxies: Option<Arc<Proxies>>,
    dialing: Dialing,
) -> HttpsConnector<Route> {
    let resolver: Arc<dyn ResolveServerName + Send + Sync> = match server_name {
        Some(name) => Arc::new(FixedServerNameResolver::new(name)),
        None => Arc::new(DefaultServerNameResolver::default()),
    };
    HttpsConnector::new(Route::new(proxies, dialing), tls, false, resolver)
}
