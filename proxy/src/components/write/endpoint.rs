//! The `endpoint` block.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, Secret};
use base64::Engine as _;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::upstream::{Backoff, Client, Endpoint, EndpointSettings};

/// An endpoint as written.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = EndpointArguments::validate)]
#[alloy(unsupported(
    "bearer_token_file",
    "debug_info_upload_timeout",
    "enable_http2",
    "follow_redirects",
    "http_headers",
    "no_proxy",
    "oauth2",
    "proxy_connect_header",
    "proxy_from_environment",
    "proxy_url",
    "tls_config"
))]
pub(super) struct EndpointArguments {
    /// Where the backend is: scheme, host, port and perhaps a base path.
    #[alloy(attr)]
    url: String,
    /// Names the endpoint in logs.
    #[alloy(attr, optional)]
    name: String,
    /// The longest that one attempt may take.
    #[alloy(attr, default = Duration::from_secs(10))]
    remote_timeout: Duration,
    /// Sent with every request.
    #[alloy(attr, optional)]
    headers: BTreeMap<String, String>,
    /// Shortest delay before the second attempt.
    #[alloy(attr, default = Duration::from_millis(500))]
    min_backoff_period: Duration,
    /// Longest delay between attempts.
    #[alloy(attr, default = Duration::from_secs(300))]
    max_backoff_period: Duration,
    /// Requests in total; 0 for no limit.
    #[alloy(attr, default = 10)]
    max_backoff_retries: i64,
    /// Whether "too many requests" is tried again.
    #[alloy(attr, default = true)]
    retry_on_http_429: bool,
    /// A token for the Authorization header.
    #[alloy(attr, optional)]
    bearer_token: Option<Secret>,
    /// A user for the Authorization header.
    #[alloy(block, optional)]
    basic_auth: Option<BasicAuthArguments>,
    /// The Authorization header as such.
    #[alloy(block, optional)]
    authorization: Option<AuthorizationArguments>,
}

#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(unsupported("password_file"))]
struct BasicAuthArguments {
    /// The user's name.
    #[alloy(attr, optional)]
    username: String,
    /// The user's password.
    #[alloy(attr, optional)]
    password: Option<Secret>,
}

#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(unsupported("credentials_file"))]
struct AuthorizationArguments {
    /// What stands before the credentials.
    #[alloy(attr, default = "Bearer".to_owned(), name = "type")]
    scheme: String,
    /// The credentials.
    #[alloy(attr, optional)]
    credentials: Option<Secret>,
}

impl EndpointArguments {
    /// The endpoint, on this client.
    pub(super) fn build(&self, client: Client) -> Result<Endpoint, Invalid> {
        let settings = EndpointSettings {
            url: self.url.clone(),
            alias: self.name.clone(),
            headers: self.request_headers()?,
            remote_timeout: self.remote_timeout,
            backoff: Backoff { min: self.min_backoff_period, max: self.max_backoff_period, attempts: self.attempts()? },
            retry_on_http_429: self.retry_on_http_429,
        };
        Endpoint::new(settings, client).map_err(|error| Invalid::attribute("url", error.to_string()))
    }

    fn validate(&self) -> Result<(), Invalid> {
        let given = [self.bearer_token.is_some(), self.basic_auth.is_some(), self.authorization.is_some()];
        if given.into_iter().filter(|given| *given).count() > 1 {
            return Err(Invalid::block(
                "at most one of basic_auth, authorization, oauth2, bearer_token & bearer_token_file must be configured",
            ));
        }
        if self.remote_timeout.is_zero() {
            return Err(Invalid::attribute("remote_timeout", "must be longer than 0s: no attempt could succeed"));
        }
        if self.max_backoff_period < self.min_backoff_period {
            return Err(Invalid::attribute("max_backoff_period", "must not be shorter than min_backoff_period"));
        }
        self.attempts()?;
        Endpoint::check_url(&self.url).map_err(|error| Invalid::attribute("url", error.to_string()))?;
        self.request_headers().map(drop)
    }

    fn attempts(&self) -> Result<u32, Invalid> {
        let message = "must not be negative; 0 is no limit";
        u32::try_from(self.max_backoff_retries).map_err(|_| Invalid::attribute("max_backoff_retries", message))
    }

    fn request_headers(&self) -> Result<HeaderMap, Invalid> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let bad = |what: &str| Invalid::attribute("headers", format!("{name:?}: no HTTP header has such a {what}"));
            let header = HeaderName::try_from(name).map_err(|_| bad("name"))?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| bad("value"))?);
        }
        if let Some((attribute, credentials)) = self.credentials() {
            let bad = |_| Invalid::attribute(attribute, "holds a character that no HTTP header has");
            let mut value = HeaderValue::try_from(credentials).map_err(bad)?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(headers)
    }

    fn credentials(&self) -> Option<(&'static str, String)> {
        let text = |secret: &Option<Secret>| secret.as_ref().map_or(String::new(), |secret| secret.expose().to_owned());
        if let Some(basic) = &self.basic_auth {
            let user = format!("{}:{}", basic.username, text(&basic.password));
            let encoded = base64::engine::general_purpose::STANDARD.encode(user);
            return Some(("basic_auth", format!("Basic {encoded}")));
        }
        if let Some(authorization) = &self.authorization {
            return Some(("authorization", format!("{} {}", authorization.scheme, text(&authorization.credentials))));
        }
        self.bearer_token.as_ref().map(|token| ("bearer_token", format!("Bearer {}", token.expose())))
    }
}
