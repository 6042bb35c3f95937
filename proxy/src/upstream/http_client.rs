//! An HTTP client with the reference's options: authentication, TLS, proxies, redirects. For whole answers; the way of
//! profiles to backends is [`Client`](super::Client).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use alloy_syntax::Invalid;
use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request, Response, Uri, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::ServerName;

pub use arguments::{AuthorizationArguments, BasicAuthArguments, HttpClientArguments};
pub use credentials::{AuthArguments, Credentials, CredentialsError};
pub use oauth2::{OAuth2Arguments, TokenError};
pub(crate) use secret_file::read as read_secret_file;
pub use tls::{TlsConfigArguments, TlsError};

pub(super) use self::proxy::{BoxError, Dial, Dialing, Proxies, Route};
pub(super) use self::redirect::Next;
pub(super) use self::tls::Material;
use super::client::chain;
use super::connector::{Versions, connector, speaking};

mod arguments;
mod credentials;
mod oauth2;
mod proxy;
mod redirect;
mod secret_file;
mod socket;
#[cfg(test)]
pub(crate) mod tests;
mod tls;

/// As many redirects as Go's client follows.
pub(super) const MOST_REDIRECTS: usize = 10;
/// Idle connections are kept as long as by the reference.
const IDLE: Duration = Duration::from_secs(300);
const MAX_IDLE: usize = 100;
pub(super) const USER_AGENT: http::HeaderValue =
    http::HeaderValue::from_static(concat!("Flamegate/", env!("CARGO_PKG_VERSION")));

type Pool = legacy::Client<HttpsConnector<Route>, Full<Bytes>>;

/// A client. Files that it is configured with are read again for each request, as by the reference.
#[derive(Debug)]
pub struct HttpClient {
    credentials: Option<Credentials>,
    /// Secrets, for the server that was asked alone.
    headers: HeaderMap,
    proxies: Option<Arc<Proxies>>,
    tls: TlsConfigArguments,
    http2: bool,
    follow_redirects: bool,
    /// Where all requests go, where that is no address.
    socket: Option<PathBuf>,
    /// The connections, and what they were made with.
    pool: Mutex<Option<(Material, Pool)>>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The credentials cannot be read.
    #[error(transparent)]
    Credentials(#[from] CredentialsError),
    /// The TLS settings cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No connection, or it broke before the answer.
    #[error("{}", chain(.0))]
    Transport(#[from] legacy::Error),
    /// The connection or the answer broke off.
    #[error("no whole answer: {}", chain(.0))]
    Answer(#[from] hyper::Error),
    /// The answer goes on beyond what is read.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// A redirect that leads nowhere.
    #[error("redirected to {0:?}, which is no http or https URL")]
    Redirect(String),
    /// Redirects without end.
    #[error("stopped after {MOST_REDIRECTS} redirects")]
    TooManyRedirects,
    /// The Unix socket cannot be connected to.
    #[error("cannot connect to {0}: {1}")]
    Socket(String, std::io::Error),
    /// Reading the files of the configuration broke off.
    #[error("reading the TLS files broke off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl HttpClient {
    /// A client of these options. Reads no file and opens no connection.
    ///
    /// # Errors
    /// Options that exclude each other, or that no request can carry.
    pub fn new(arguments: &HttpClientArguments) -> Result<Self, Invalid> {
        Ok(Self {
            credentials: arguments.credentials()?,
            headers: arguments.headers()?,
            proxies: Proxies::of(arguments)?.map(Arc::new),
            tls: arguments.tls_config.clone(),
            http2: arguments.enable_http2,
            follow_redirects: arguments.follow_redirects,
            socket: None,
            pool: Mutex::default(),
        })
    }

    /// A client that asks whoever listens on a Unix socket: all URLs lead there, over plain HTTP/1.1 and without a proxy.
    /// No redirect is followed.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn on_socket(arguments: &HttpClientArguments, path: PathBuf) -> Result<Self, Invalid> {
        Ok(Self { proxies: None, follow_redirects: false, socket: Some(path), ..Self::new(arguments)? })
    }

    /// Sends a request and reads the whole answer, of at most `limit` bytes, following redirects. The deadline is the
    /// caller's.
    ///
    /// # Errors
    /// When there is no whole answer; one with any status is.
    pub async fn send(&self, request: Request<Bytes>, limit: usize) -> Result<Response<Bytes>, HttpError> {
        let (head, mut body) = self.open(request).await?.into_parts();
        let mut read = BytesMut::new();
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame?.into_data() else { continue };
            if read.len() + data.len() > limit {
                return Err(HttpError::TooLarge(limit));
            }
            read.extend_from_slice(&data);
        }
        Ok(Response::from_parts(head, read.freeze()))
    }

    /// Sends a request, following redirects, and leaves it to the caller to read the answer, within bounds and deadlines
    /// of its own.
    ///
    /// # Errors
    /// When there is no answer; one with any status is.
    pub async fn open(&self, request: Request<Bytes>) -> Result<Response<Incoming>, HttpError> {
        let mut next = Next::first(request);
        for _ in 0..=MOST_REDIRECTS {
            let request = self.complete(&next).await?;
            let answer = match &self.socket {
                Some(path) => socket::exchange(path, request).await?,
                None => self.pool().await?.request(request).await?,
            };
            if self.follow_redirects
                && let Some(after) = next.after(answer.status(), answer.headers())?
            {
                next = after;
                continue;
            }
            return Ok(answer);
        }
        Err(HttpError::TooManyRedirects)
    }

    /// The request with what this client adds.
    async fn complete(&self, next: &Next<Bytes>) -> Result<Request<Full<Bytes>>, HttpError> {
        let mut request = next.request().map(Full::new);
        let uri = request.uri().clone();
        let headers = request.headers_mut();
        headers.entry(header::USER_AGENT).or_insert(USER_AGENT);
        if next.is_at_home() {
            for (name, value) in &self.headers {
                headers.append(name, value.clone());
            }
            if let Some(credentials) =
                self.credentials.as_ref().filter(|_| !headers.contains_key(header::AUTHORIZATION))
            {
                headers.insert(header::AUTHORIZATION, credentials.header().await?);
            }
        }
        if let Some(authorization) = self.proxies.as_ref().and_then(|proxies| proxies.authorization(&uri)) {
            headers.insert(header::PROXY_AUTHORIZATION, authorization);
        }
        Ok(request)
    }

    /// The connections; new ones where the files have changed that the old ones were made with.
    async fn pool(&self) -> Result<Pool, HttpError> {
        let tls = self.tls.clone();
        let material =
            if tls.has_files() { tokio::task::spawn_blocking(move || tls.material()).await?? } else { tls.material()? };
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((before, pool)) = &*pool
            && *before == material
        {
            return Ok(pool.clone());
        }
        let made = self.connect(&material)?;
        *pool = Some((material, made.clone()));
        Ok(made)
    }

    fn connect(&self, material: &Material) -> Result<Pool, TlsError> {
        let config = self.tls.client_config(material)?;
        let tls = speaking(Versions::of(self.http2), config);
        let connector = connector(tls, self.tls.server_name()?, self.proxies.clone(), Dialing::default());
        let mut builder = legacy::Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(MAX_IDLE);
        Ok(builder.build(connector))
    }
}

/// Reads a URL that a request can be made to.
///
/// # Errors
/// What is wrong with it.
pub fn parse_url(url: &str) -> Result<Uri, super::UrlError> {
    super::Endpoint::check_url(url)?;
    url.parse().map_err(|error| super::UrlError::Invalid(url.to_owned(), error))
}

/// The name that a server must prove to have.
fn parse_server_name(name: &str) -> Result<ServerName<'static>, TlsError> {
    ServerName::try_from(name.to_owned()).map_err(|_| TlsError::ServerName(name.to_owned()))
}
