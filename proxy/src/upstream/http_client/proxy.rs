//! The way through a proxy: whole URLs for http, a tunnel for https; through SOCKS for both.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use alloy_syntax::Invalid;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Uri};
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connected, Connection, HttpConnector};
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower_service::Service;

use super::HttpClientArguments;
use super::arguments::secret_headers;
use crate::telemetry::metrics::{DialerMetrics, OpenConnection};

/// Time to open a connection, in which the reference gives TLS ten seconds.
const CONNECT: Duration = Duration::from_secs(10);
/// As gRPC: who takes no byte for so long takes no more. The library flushes what it has begun to write also where the
/// request was given up long since, and a server that stands still would keep it for ever.
const STUCK: Duration = Duration::from_secs(20);
/// As Go: an idle connection is asked so often whether its other end is there.
const PROBE: Duration = Duration::from_secs(15);
/// Time for one of several backends: another one may answer sooner.
const CONNECT_BACKEND: Duration = Duration::from_secs(2);

pub(in crate::upstream) type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Who is asked through which proxy.
pub(in crate::upstream) struct Proxies {
    matcher: Matcher,
    /// Exceptions for one port alone, which the library does not have.
    by_port: Vec<ExceptPort>,
    /// As Go: where there are exceptions, this host itself is one.
    spare_loopback: bool,
    connect_headers: HeaderMap,
}

impl Proxies {
    /// The proxies of these options; none where none is given.
    ///
    /// # Errors
    /// Options that exclude each other, and proxies that cannot be used.
    pub(in crate::upstream) fn of(arguments: &HttpClientArguments) -> Result<Option<Self>, Invalid> {
        let HttpClientArguments { proxy_url, no_proxy, proxy_from_environment, proxy_connect_header, .. } = arguments;
        let refused = |message: &str| Err(Invalid::block(message));
        match (*proxy_from_environment, !proxy_url.is_empty(), !no_proxy.is_empty()) {
            (false, false, _) if !proxy_connect_header.is_empty() => {
                return refused(
                    "if proxy_connect_header is configured, proxy_url or proxy_from_environment must also be configured",
                );
            }
            (true, true, _) => {
                return refused("if proxy_from_environment is configured, proxy_url must not be configured");
            }
            (true, _, true) => {
                return refused("if proxy_from_environment is configured, no_proxy must not be configured");
            }
            (_, false, true) => return refused("if no_proxy is configured, proxy_url must also be configured"),
            (false, false, false) => return Ok(None),
            _ => {}
        }
        let connect_headers = secret_headers("proxy_connect_header", proxy_connect_header)?;
        let exceptions: Exceptions;
        let matcher = if *proxy_from_environment {
            let at = "proxy_from_environment";
            let [http, https, no] =
                [["HTTP_PROXY", "http_proxy"], ["HTTPS_PROXY", "https_proxy"], ["NO_PROXY", "no_proxy"]]
                    .map(|names| names.iter().find_map(|name| std::env::var(name).ok()).unwrap_or_default());
            for proxy in [&http, &https] {
                if !proxy.is_empty() {
                    check_proxy(at, proxy)?;
                }
            }
            exceptions = Exceptions::read(at, &no)?;
            Matcher::builder().http(http).https(https).no(exceptions.hosts).build()
        } else {
            check_proxy("proxy_url", proxy_url)?;
            exceptions = Exceptions::read("no_proxy", no_proxy)?;
            Matcher::builder().all(proxy_url.clone()).no(exceptions.hosts).build()
        };
        let spare_loopback = *proxy_from_environment || !no_proxy.is_empty();
        Ok(Some(Self { matcher, by_port: exceptions.by_port, spare_loopback, connect_headers }))
    }

    /// What a request itself must tell the proxy: in a tunnel it passes the proxy unread.
    pub(in crate::upstream) fn authorization(&self, target: &Uri) -> Option<HeaderValue> {
        if target.scheme() == Some(&Scheme::HTTPS) {
            return None;
        }
        self.proxy_of(target)?.basic_auth().cloned()
    }

    fn proxy_of(&self, target: &Uri) -> Option<Intercept> {
        let spared = self.spare_loopback && target.host().is_some_and(is_loopback);
        if spared || self.by_port.iter().any(|exception| exception.spares(target)) {
            return None;
        }
        self.matcher.intercept(target)
    }
}

/// Who is not asked through the proxy.
struct Exceptions {
    /// As the library reads them.
    hosts: String,
    by_port: Vec<ExceptPort>,
}

struct ExceptPort {
    port: u16,
    /// Sends everyone through a proxy but the host.
    others: Matcher,
}

impl Exceptions {
    fn read(attribute: &'static str, written: &str) -> Result<Self, Invalid> {
        let (mut hosts, mut by_port) = (Vec::new(), Vec::new());
        for entry in written.split(',').map(str::trim) {
            let network = entry.split('/').next().unwrap_or_default();
            if !entry.contains(':') || network.parse::<std::net::IpAddr>().is_ok() {
                hosts.push(entry);
                continue;
            }
            let read = entry.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse().ok()?)));
            let Some((host, port)) = read.filter(|(host, _)| !host.is_empty()) else {
                let message = format!("{entry:?}: the port of an exception must be a number from 0 to 65535");
                return Err(Invalid::attribute(attribute, message));
            };
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            by_port.push(ExceptPort { port, others: Matcher::builder().all("http://proxy").no(host).build() });
        }
        Ok(Self { hosts: hosts.join(","), by_port })
    }
}

impl ExceptPort {
    fn spares(&self, target: &Uri) -> bool {
        let usual = if target.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        target.port_u16().unwrap_or(usual) == self.port && self.others.intercept(target).is_none()
    }
}

impl std::fmt::Debug for Proxies {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Proxies").finish_non_exhaustive()
    }
}

fn is_loopback(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}

/// Never shows the URL: it may hold a password.
fn check_proxy(attribute: &'static str, url: &str) -> Result<(), Invalid> {
    let refused = |message: String| Err(Invalid::attribute(attribute, message));
    let Ok(uri) = url.parse::<Uri>() else {
        return refused("the proxy's URL cannot be read: write http://host:port".to_owned());
    };
    match uri.scheme_str() {
        _ if uri.host().is_none_or(str::is_empty) => refused("the proxy's URL has no host".to_owned()),
        // As Go: without a scheme it is http.
        Some("http") | None => Ok(()),
        Some("socks5" | "socks5h") if uri.port().is_none() => {
            refused("the proxy's URL has no port: write socks5://host:1080".to_owned())
        }
        Some("socks5" | "socks5h") => Ok(()),
        Some(other) => {
            let message =
                format!("{other} proxies are not supported by this version of Flamegate: only http and socks5");
            refused(message)
        }
    }
}

/// Opens connections: to the server, or to the proxy in front of it.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Route {
    tcp: HttpConnector,
    proxies: Option<Arc<Proxies>>,
    dialing: Dialing,
}

/// How sockets are opened.
#[derive(Debug, Clone, Default)]
pub(in crate::upstream) struct Dialing {
    /// Where one server is.
    pub(in crate::upstream) only: Option<Dial>,
    /// Counts the connections.
    pub(in crate::upstream) counted: Option<DialerMetrics>,
}

/// The address of a server that is not looked up by its name.
#[derive(Debug, Clone)]
pub(in crate::upstream) struct Dial {
    /// The server, as in the URLs of requests.
    pub(in crate::upstream) server: Authority,
    /// Where it is.
    pub(in crate::upstream) address: SocketAddr,
}

impl Route {
    pub(in crate::upstream) fn new(proxies: Option<Arc<Proxies>>, dialing: Dialing) -> Self {
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(if dialing.only.is_some() { CONNECT_BACKEND } else { CONNECT }));
        tcp.set_tcp_user_timeout(Some(STUCK));
        tcp.set_keepalive(Some(PROBE));
        tcp.set_keepalive_interval(Some(PROBE));
        Self { tcp, proxies, dialing }
    }
}

impl Dial {
    /// Where to connect for this URL; a redirect may lead to another server.
    fn instead_of(&self, target: &Uri) -> Result<Option<Uri>, http::Error> {
        if target.authority() != Some(&self.server) {
            return Ok(None);
        }
        let authority = self.address.to_string();
        Uri::builder().scheme(Scheme::HTTP).authority(authority).path_and_query("/").build().map(Some)
    }
}

impl Service<Uri> for Route {
    type Response = Opened;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Opened, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, target: Uri) -> Self::Future {
        let opening = self.open(target);
        let Some(dialed) = self.dialing.counted.as_ref().map(DialerMetrics::dial) else { return opening };
        async move {
            match opening.await {
                Ok(opened) => Ok(Opened { open: dialed.established(), ..opened }),
                Err(error) => {
                    dialed.failed(error.as_ref());
                    Err(error)
                }
            }
        }
        .boxed()
    }
}

impl Route {
    fn open(&self, target: Uri) -> BoxFuture<'static, Result<Opened, BoxError>> {
        let mut tcp = self.tcp.clone();
        let proxy = self.proxies.as_ref().and_then(|proxies| Some((proxies.proxy_of(&target)?, proxies.clone())));
        let Some((intercept, proxies)) = proxy else {
            let target = match self.dialing.only.as_ref().map(|dial| dial.instead_of(&target)).transpose() {
                Ok(instead) => instead.flatten().unwrap_or(target),
                Err(error) => return async move { Err(error.into()) }.boxed(),
            };
            return async move { Ok(Opened::new(tcp.call(target).await?, false)) }.boxed();
        };
        let proxy = intercept.uri().clone();
        if matches!(proxy.scheme_str(), Some("socks5" | "socks5h")) {
            // As Go: the proxy looks names up, also where the scheme is socks5.
            let mut socks = SocksV5::new(proxy, tcp).local_dns(false);
            if let Some((user, password)) = intercept.raw_auth() {
                socks = socks.with_auth(user.to_owned(), password.to_owned());
            }
            return async move { Ok(Opened::new(socks.call(target).await?, false)) }.boxed();
        }
        if target.scheme() != Some(&Scheme::HTTPS) {
            return async move { Ok(Opened::new(tcp.call(proxy).await?, true)) }.boxed();
        }
        let mut tunnel = Tunnel::new(proxy, tcp).with_headers(proxies.connect_headers.clone());
        if let Some(authorization) = intercept.basic_auth() {
            tunnel = tunnel.with_auth(authorization.clone());
        }
        async move { Ok(Opened::new(tunnel.call(target).await?, false)) }.boxed()
    }
}

/// A connection that knows whether the proxy reads the requests on it.
pub(in crate::upstream) struct Opened {
    stream: TokioIo<TcpStream>,
    asks_proxy: bool,
    /// Only where connections are counted.
    open: Option<OpenConnection>,
}

impl Opened {
    fn new(stream: TokioIo<TcpStream>, asks_proxy: bool) -> Self {
        Self { stream, asks_proxy, open: None }
    }

    /// The socket beneath, and what counts it for as long as it is open.
    pub(in crate::upstream) fn into_tcp(self) -> (TcpStream, Option<OpenConnection>) {
        (self.stream.into_inner(), self.open)
    }
}

impl Connection for Opened {
    fn connected(&self) -> Connected {
        self.stream.connected().proxy(self.asks_proxy)
    }
}

impl Read for Opened {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl Write for Opened {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buffer)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffers: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, buffers)
    }
}
