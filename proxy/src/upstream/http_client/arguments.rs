//! The options as written.

use std::collections::BTreeMap;

use alloy_syntax::{Arguments, Invalid, Secret};
use http::{HeaderMap, HeaderName, HeaderValue};

use super::proxy::Proxies;
use super::{AuthArguments, Credentials, OAuth2Arguments, TlsConfigArguments};

/// Options of a client, such as stand in the `client` block of `import.http`.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = HttpClientArguments::validate)]
pub struct HttpClientArguments {
    /// A user for the Authorization header.
    #[alloy(block, optional)]
    pub basic_auth: Option<BasicAuthArguments>,
    /// The Authorization header as such.
    #[alloy(block, optional)]
    pub authorization: Option<AuthorizationArguments>,
    /// Tokens of a server for the Authorization header.
    #[alloy(block, optional)]
    pub oauth2: Option<OAuth2Arguments>,
    /// A token for the Authorization header.
    #[alloy(attr, optional)]
    pub bearer_token: Secret,
    /// A file with such a token.
    #[alloy(attr, optional)]
    pub bearer_token_file: String,
    /// How to speak TLS.
    #[alloy(block, optional)]
    pub tls_config: TlsConfigArguments,
    /// Whether redirects are followed.
    #[alloy(attr, default = true)]
    pub follow_redirects: bool,
    /// Whether HTTP/2 is spoken with those that offer it.
    #[alloy(attr, default = true)]
    pub enable_http2: bool,
    /// Sent with every request.
    #[alloy(attr, optional)]
    pub http_headers: BTreeMap<String, Vec<Secret>>,
    /// A proxy for all requests.
    #[alloy(attr, optional)]
    pub proxy_url: String,
    /// Who is reached without the proxy: names, addresses and networks, with commas between them.
    #[alloy(attr, optional)]
    pub no_proxy: String,
    /// Whether the environment says which proxy to use.
    #[alloy(attr, optional)]
    pub proxy_from_environment: bool,
    /// Sent to the proxy where it is asked for a tunnel.
    #[alloy(attr, optional)]
    pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
}

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = BasicAuthArguments::validate)]
pub struct BasicAuthArguments {
    /// The user's name.
    #[alloy(attr, optional)]
    pub username: String,
    /// The user's password.
    #[alloy(attr, optional)]
    pub password: Secret,
    /// A file with the password.
    #[alloy(attr, optional)]
    pub password_file: String,
}

/// The Authorization header as such.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = AuthorizationArguments::validate)]
pub struct AuthorizationArguments {
    /// What stands before the credentials.
    #[alloy(attr, default = "Bearer".to_owned(), name = "type")]
    pub scheme: String,
    /// The credentials.
    #[alloy(attr, optional)]
    pub credentials: Secret,
    /// A file with the credentials.
    #[alloy(attr, optional)]
    pub credentials_file: String,
}

impl HttpClientArguments {
    /// Those of them that say how connections are made: clients of equal ones can share theirs.
    pub(crate) fn connections(&self) -> Self {
        Self {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: String::new(),
            follow_redirects: true,
            http_headers: BTreeMap::new(),
            ..self.clone()
        }
    }

    /// What the Authorization header is made of.
    ///
    /// # Errors
    /// When there is more than one, or it cannot stand in a header.
    pub(crate) fn credentials(&self) -> Result<Option<Credentials>, Invalid> {
        Credentials::of(AuthArguments {
            basic_auth: self.basic_auth.as_ref(),
            authorization: self.authorization.as_ref(),
            oauth2: self.oauth2.as_ref(),
            bearer_token: &self.bearer_token,
            bearer_token_file: &self.bearer_token_file,
        })
    }

    /// Headers of every request whose values are not shown.
    ///
    /// # Errors
    /// Those that no request can carry, or that are not the user's.
    pub(crate) fn headers(&self) -> Result<HeaderMap, Invalid> {
        let reserved =
            self.http_headers.keys().find(|name| RESERVED.iter().any(|other| name.eq_ignore_ascii_case(other)));
        if let Some(name) = reserved {
            let message = format!("setting header {name:?} is not allowed: the client sets it itself");
            return Err(Invalid::attribute("http_headers", message));
        }
        secret_headers("http_headers", &self.http_headers)
    }

    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        self.credentials()?;
        self.headers()?;
        Proxies::of(self).map(drop)
    }
}

impl BasicAuthArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if !self.password.is_empty() && !self.password_file.is_empty() {
            return Err(Invalid::block("at most one of basic_auth password & password_file must be configured"));
        }
        Ok(())
    }
}

impl AuthorizationArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if !self.credentials.is_empty() && !self.credentials_file.is_empty() {
            let message = "at most one of authorization credentials & credentials_file must be configured";
            return Err(Invalid::block(message));
        }
        if self.scheme.trim().eq_ignore_ascii_case("basic") {
            let message = "authorization type cannot be set to \"basic\", use \"basic_auth\" block instead";
            return Err(Invalid::attribute("type", message));
        }
        Ok(())
    }
}

/// Those that the reference refuses.
const RESERVED: [&str; 18] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "user-agent",
    "www-authenticate",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
    "x-prometheus-remote-read-version",
    "x-prometheus-remote-write-version",
    "x-prometheus-scrape-timeout-seconds",
];

/// Headers whose values are not shown.
pub(super) fn secret_headers(
    attribute: &'static str,
    written: &BTreeMap<String, Vec<Secret>>,
) -> Result<HeaderMap, Invalid> {
    let mut headers = HeaderMap::new();
    for (name, values) in written {
        let bad = |what: &str| Invalid::attribute(attribute, format!("{name:?}: no HTTP header has such a {what}"));
        let header = HeaderName::try_from(name).map_err(|_| bad("name"))?;
        for value in values {
            let mut value = HeaderValue::try_from(value.expose()).map_err(|_| bad("value"))?;
            value.set_sensitive(true);
            headers.append(header.clone(), value);
        }
    }
    Ok(headers)
}
