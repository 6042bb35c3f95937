//! The admin listener of a running process, as commands ask it.

use std::path::PathBuf;
use std::time::Duration;

use alloy_syntax::Secret;
use bytes::Bytes;
use clap::Args;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;

use crate::upstream::http_client::{BasicAuthArguments, HttpClient, HttpClientArguments, TlsConfigArguments};

/// Until the head of an answer is there.
const HEAD: Duration = Duration::from_secs(20);
/// Bytes of a refusal that are shown.
const REFUSAL: usize = 16 << 10;

/// Which process is asked, and who asks.
#[derive(Debug, Args)]
pub(super) struct ServerFlags {
    /// The admin listener of the process that is asked
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:12345", value_parser = address)]
    server: Uri,
    /// The user to ask as, where the listener asks for one
    #[arg(long, value_name = "NAME", requires = "password_file")]
    username: Option<String>,
    /// A file with that user's password
    #[arg(long, value_name = "FILE", requires = "username")]
    password_file: Option<PathBuf>,
    /// Certificates of the authorities to trust instead of the system's, as PEM
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// A process that can be asked.
pub(super) struct Server {
    client: HttpClient,
    address: Uri,
    has_login: bool,
}

/// A scheme and a host; `http` where it says no scheme.
fn address(text: &str) -> Result<Uri, String> {
    let with_scheme = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let address: Uri = with_scheme.parse().map_err(|error| format!("{error}"))?;
    match (address.scheme_str(), address.authority(), address.path(), address.query()) {
        (_, Some(authority), ..) if authority.as_str().contains('@') => {
            Err("a user stands in --username, a password in the file of --password-file".to_owned())
        }
        (Some("http" | "https"), Some(_), "/" | "", None) => Ok(address),
        (Some("http" | "https"), ..) => Err("a scheme, a host and a port are all that it may have".to_owned()),
        _ => Err("it begins with http:// or https://".to_owned()),
    }
}

impl ServerFlags {
    /// Nothing is opened yet.
    ///
    /// # Errors
    /// Credentials that no request can carry.
    pub(super) fn server(&self) -> Result<Server, String> {
        // The first provider stays; nothing else in such a command installs one.
        let _installed = rustls::crypto::ring::default_provider().install_default().is_ok();
        let path = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let basic_auth = self.username.clone().map(|username| BasicAuthArguments {
            username,
            password: Secret::default(),
            password_file: path(&self.password_file),
        });
        let has_login = basic_auth.is_some();
        let arguments = HttpClientArguments {
            basic_auth,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: String::new(),
            tls_config: TlsConfigArguments { ca_file: path(&self.ca_file), ..TlsConfigArguments::default() },
            follow_redirects: false,
            enable_http2: false,
            http_headers: Default::default(),
            proxy_url: String::new(),
            no_proxy: String::new(),
            proxy_from_environment: false,
            proxy_connect_header: Default::default(),
        };
        let client = HttpClient::new(&arguments).map_err(|invalid| invalid.message)?;
        Ok(Server { client, address: self.server.clone(), has_login })
    }
}

impl Server {
    /// Asks for a path with its query; the answer is there to be read when it is 200.
    ///
    /// # Errors
    /// What to tell the user: that nobody answers, that a login is needed, or what the process says.
    pub(super) async fn open(&self, path: &str) -> Result<Response<Incoming>, String> {
        let address = self.address.to_string();
        let address = address.trim_end_matches('/');
        let request = Request::get(format!("{address}{path}")).body(Bytes::new()).map_err(|error| error.to_string())?;
        let answer = match tokio::time::timeout(HEAD, self.client.open(request)).await {
            Err(_) => return Err(format!("{address} does not answer within {HEAD:?}")),
            Ok(Err(error)) => {
                return Err(format!("nobody answers at {address}: {error}; --server says where the admin listener is"));
            }
            Ok(Ok(answer)) => answer,
        };
        match answer.status() {
            StatusCode::OK => Ok(answer),
            StatusCode::UNAUTHORIZED if self.has_login => {
                Err(format!("{address} does not know this user and password"))
            }
            StatusCode::UNAUTHORIZED => {
                Err(format!("{address} asks for a login: --username and --password-file say who asks"))
            }
            status => {
                let body = Limited::new(answer.into_body(), REFUSAL).collect();
                let said = tokio::time::timeout(HEAD, body).await.ok().and_then(Result::ok);
                let said = said.map(|said| String::from_utf8_lossy(&said.to_bytes()).trim_end().to_owned());
                match said.filter(|said| !said.is_empty()) {
                    Some(said) => Err(format!("{address}: {said}")),
                    None => Err(format!("{address} answers {status}")),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_and_a_host() {
        for (text, expected) in [
            ("edge:12345", Ok("http://edge:12345/")),
            ("http://127.0.0.1:1", Ok("http://127.0.0.1:1/")),
            ("https://edge/", Ok("https://edge/")),
            ("ftp://edge", Err("it begins with")),
            ("http://edge/path", Err("all that it may have")),
            ("http://me:secret@edge", Err("--username")),
            ("http://", Err("")),
        ] {
            match (address(text), expected) {
                (Ok(address), Ok(expected)) => assert_eq!(address.to_string(), expected),
                (Err(error), Err(says)) => assert!(error.contains(says), "{text}: {error}"),
                (given, _) => panic!("{text}: {given:?}"),
            }
        }
    }
}
