//! A running Flamegate that commands ask: where its admin listener is, and who asks.

use std::path::PathBuf;
use std::time::Duration;

use alloy_syntax::Secret;
use bytes::Bytes;
use clap::Args;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Collected, Limited};
use hyper::body::Incoming;

use super::terminal_text::harmless;
use crate::upstream::UrlError;
use crate::upstream::http_client::{
    BasicAuthArguments, HttpClient, HttpClientArguments, HttpError, TlsConfigArguments, parse_url,
};

/// Where the password is looked for, where no file is named.
const PASSWORD: &str = "FLAMEGATE_PASSWORD";
/// The longest answer that is read: some hundred rows.
const MAX_BYTES: usize = 16 << 20;
/// From the request to the whole answer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Bytes that are read of an answer that says no, and letters of it that are shown.
const MAX_REFUSAL: usize = 16 << 10;
const REASON: usize = 300;

/// Flags of commands that ask a running Flamegate.
#[derive(Debug, Args)]
pub(super) struct ServerFlags {
    /// The admin listener of a running Flamegate; `http` where it says no scheme
    #[arg(long = "server", value_name = "URL", env = "FLAMEGATE_SERVER", default_value = "http://127.0.0.1:12345")]
    url: String,
    /// The user that the `auth` of its `http` block asks for; the password is in --password-file, or in the variable
    /// FLAMEGATE_PASSWORD
    #[arg(long, value_name = "NAME", env = "FLAMEGATE_USERNAME")]
    username: Option<String>,
    /// A file with the user's password
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// A file with the certificates (PEM) of the authorities that an `https` URL's certificate is trusted by, in place of
    /// the system's
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// A running Flamegate.
#[derive(Debug)]
pub(super) struct Server {
    client: HttpClient,
    /// Without a slash at its end.
    url: String,
    /// Whether a user's name and password are shown to it.
    has_login: bool,
}

/// Why a running Flamegate does not say what it was asked for.
#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    /// No such request can be made: nothing is gained by trying again.
    #[error("--server: {0}")]
    Url(String),
    /// Flags or files cannot be used.
    #[error("{0}")]
    Login(String),
    /// Nobody answers there, or not yet.
    #[error("no Flamegate answers at {0}: {1}; --server says where its admin listener is")]
    Away(String, String),
    /// It asks who asks.
    #[error("{0} asks for a user and a password: --username NAME with --password-file FILE or the variable {PASSWORD}")]
    NoLogin(String),
    /// It does not know who asks.
    #[error("{0} does not let this user in, with this password")]
    WrongLogin(String),
    /// It has no such page.
    #[error("{0} has no {1}: it is no Flamegate, or one of another version")]
    Unknown(String, String),
    /// It says no.
    #[error("{0} answers {1}: {2}")]
    Refused(String, StatusCode, String),
    /// What it says cannot be read.
    #[error("{0} answers what is not understood: {1}; it may be a Flamegate of another version")]
    Answer(String, String),
}

impl ServerFlags {
    /// Whom these flags mean.
    ///
    /// # Errors
    /// Flags that cannot be used.
    pub(super) fn server(&self) -> Result<Server, AskError> {
        let url = if self.url.contains("://") { self.url.clone() } else { format!("http://{}", self.url) };
        parse_url(&url).map_err(|error| match error {
            UrlError::UserInfo => AskError::Url("the URL holds a user name: --username takes it".to_owned()),
            other => AskError::Url(harmless(&other.to_string(), REASON)),
        })?;
        let client = HttpClient::new(&self.client()?).map_err(|invalid| AskError::Login(invalid.message))?;
        Ok(Server { client, url: url.trim_end_matches('/').to_owned(), has_login: self.username.is_some() })
    }

    fn client(&self) -> Result<HttpClientArguments, AskError> {
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let password = || std::env::var(PASSWORD).unwrap_or_default();
        let basic_auth = self.username.as_ref().map(|username| BasicAuthArguments {
            username: username.clone(),
            password: Secret::new(if self.password_file.is_none() { password() } else { String::new() }),
            password_file: file(&self.password_file),
        });
        if self.username.is_some() && self.password_file.is_none() && std::env::var_os(PASSWORD).is_none() {
            let message =
                format!("--username has no password: --password-file FILE or the variable {PASSWORD} gives it");
            return Err(AskError::Login(message));
        }
        Ok(HttpClientArguments {
            basic_auth,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: String::new(),
            tls_config: TlsConfigArguments { ca_file: file(&self.ca_file), ..TlsConfigArguments::default() },
            // A login is for this server alone.
            follow_redirects: false,
            enable_http2: true,
            http_headers: Default::default(),
            proxy_url: String::new(),
            no_proxy: String::new(),
            proxy_from_environment: false,
            proxy_connect_header: Default::default(),
        })
    }
}

impl Server {
    /// Where it is, for people.
    pub(super) fn name(&self) -> String {
        harmless(&self.url, REASON)
    }

    /// What it says at this path, which begins with a slash.
    ///
    /// # Errors
    /// When it does not answer in time, or with anything but 200.
    pub(super) async fn ask(&self, path: &str) -> Result<Bytes, AskError> {
        let asking = self.client.send(self.request(path)?, MAX_BYTES);
        let answer = self.in_time(asking).await?;
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::OK { Ok(body) } else { Err(self.refusal(path, head.status, &body)) }
    }

    /// The same, for an answer that is read as it comes and may have no end.
    ///
    /// # Errors
    /// When no answer begins in time, or it is anything but 200.
    pub(super) async fn open(&self, path: &str) -> Result<Incoming, AskError> {
        let answer = self.in_time(self.client.open(self.request(path)?)).await?;
        let (head, body) = answer.into_parts();
        if head.status == StatusCode::OK {
            return Ok(body);
        }
        let said = tokio::time::timeout(DEADLINE, Limited::new(body, MAX_REFUSAL).collect()).await;
        let said = said.ok().and_then(Result::ok).map(Collected::to_bytes).unwrap_or_default();
        Err(self.refusal(path, head.status, &said))
    }

    fn request(&self, path: &str) -> Result<Request<Bytes>, AskError> {
        let uri: Uri = format!("{}{path}", self.url)
            .parse()
            .map_err(|error: http::uri::InvalidUri| AskError::Url(harmless(&error.to_string(), REASON)))?;
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = uri;
        Ok(request)
    }

    async fn in_time<T>(
        &self,
        asking: impl Future<Output = Result<Response<T>, HttpError>>,
    ) -> Result<Response<T>, AskError> {
        let away = |error: String| AskError::Away(self.name(), harmless(&error, REASON));
        match tokio::time::timeout(DEADLINE, asking).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error @ (HttpError::Credentials(_) | HttpError::Tls(_)))) => {
                Err(AskError::Login(harmless(&error.to_string(), REASON)))
            }
            Ok(Err(error)) => Err(away(error.to_string())),
            Err(_) => Err(away(format!("not within {} s", DEADLINE.as_secs()))),
        }
    }

    fn refusal(&self, path: &str, status: StatusCode, said: &[u8]) -> AskError {
        let said = harmless(String::from_utf8_lossy(said).trim(), REASON);
        match status {
            StatusCode::UNAUTHORIZED if self.has_login => AskError::WrongLogin(self.name()),
            StatusCode::UNAUTHORIZED => AskError::NoLogin(self.name()),
            StatusCode::NOT_FOUND if said.is_empty() => AskError::Unknown(self.name(), path.to_owned()),
            status => AskError::Refused(self.name(), status, said),
        }
    }
}
