//! OAuth 2: a token for the client's own credentials, asked for when the last one has expired.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, Secret};
use bytes::Bytes;
use form_urlencoded::{Serializer, byte_serialize};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, Uri, header};
use serde::Deserialize;
use tokio::time::Instant;

use super::credentials::{self, CredentialsError};
use super::{HttpClient, HttpClientArguments, HttpError, TlsConfigArguments, parse_url};

/// Most bytes of an answer with a token.
const MAX_ANSWER: usize = 64 << 10;
/// Most characters of a refusal that are shown.
const MAX_SHOWN: usize = 300;
/// As Go: a token is replaced so long before its end, to arrive while it is good.
const EARLY: Duration = Duration::from_secs(10);

/// The `oauth2` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = OAuth2Arguments::validate)]
pub struct OAuth2Arguments {
    /// The client's name.
    #[alloy(attr, optional)]
    pub client_id: String,
    /// The client's secret.
    #[alloy(attr, optional)]
    pub client_secret: Secret,
    /// A file with the client's secret.
    #[alloy(attr, optional)]
    pub client_secret_file: String,
    /// What is asked for.
    #[alloy(attr, optional)]
    pub scopes: Vec<String>,
    /// Who gives tokens.
    #[alloy(attr, optional)]
    pub token_url: String,
    /// Further parameters of the question.
    #[alloy(attr, optional)]
    pub endpoint_params: BTreeMap<String, String>,
    /// How to speak TLS with whoever gives tokens.
    #[alloy(block, optional)]
    pub tls_config: TlsConfigArguments,
    /// As of the client, towards whoever gives tokens.
    #[alloy(attr, optional)]
    pub proxy_url: String,
    /// As of the client.
    #[alloy(attr, optional)]
    pub no_proxy: String,
    /// As of the client.
    #[alloy(attr, optional)]
    pub proxy_from_environment: bool,
    /// As of the client.
    #[alloy(attr, optional)]
    pub proxy_connect_header: BTreeMap<String, Vec<Secret>>,
}

impl OAuth2Arguments {
    fn validate(&self) -> Result<(), Invalid> {
        let refused = |message: &str| Err(Invalid::block(message));
        if self.client_id.is_empty() {
            return refused("oauth2 client_id must be configured");
        }
        match (self.client_secret.is_empty(), self.client_secret_file.is_empty()) {
            (true, true) => return refused("either oauth2 client_secret or client_secret_file must be configured"),
            (false, false) => {
                return refused("at most one of oauth2 client_secret & client_secret_file must be configured");
            }
            _ => {}
        }
        if self.token_url.is_empty() {
            return refused("oauth2 token_url must be configured");
        }
        Tokens::new(self).map(drop)
    }

    /// How whoever gives tokens is asked.
    fn client(&self) -> HttpClientArguments {
        HttpClientArguments {
            basic_auth: None,
            authorization: None,
            oauth2: None,
            bearer_token: Secret::default(),
            bearer_token_file: String::new(),
            tls_config: self.tls_config.clone(),
            follow_redirects: true,
            enable_http2: true,
            http_headers: BTreeMap::new(),
            proxy_url: self.proxy_url.clone(),
            no_proxy: self.no_proxy.clone(),
            proxy_from_environment: self.proxy_from_environment,
            proxy_connect_header: self.proxy_connect_header.clone(),
        }
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// No answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// A refusal.
    #[error("token_url answered {0}")]
    Refused(String),
    /// No token in the answer.
    #[error("token_url answered something else than a token: {0}")]
    NoToken(String),
}

/// Where tokens come from.
#[derive(Debug)]
pub(super) struct Tokens {
    client: HttpClient,
    arguments: OAuth2Arguments,
    url: Uri,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    style: Option<Style>,
}

#[derive(Debug, Clone)]
struct Token {
    header: HeaderValue,
    /// None where it is good forever.
    expires: Option<Instant>,
}

/// Where the client's name and secret stand. Not every server reads both places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    Header,
    Form,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    #[serde(default)]
    token_type: String,
    /// Seconds; some servers write a string.
    #[serde(default)]
    expires_in: serde_json::Value,
}

impl Tokens {
    pub(super) fn new(arguments: &OAuth2Arguments) -> Result<Self, Invalid> {
        let url =
            parse_url(&arguments.token_url).map_err(|error| Invalid::attribute("token_url", error.to_string()))?;
        let client = HttpClient::new(&arguments.client())?;
        Ok(Self { client, arguments: arguments.clone(), url, state: Mutex::default() })
    }

    /// The Authorization header with a token that is good. Boxed: the client that asks for tokens is of the same type
    /// as the one that carries them.
    pub(super) fn header(&self) -> BoxFuture<'_, Result<HeaderValue, CredentialsError>> {
        let State { token, style } = &*self.state();
        let (token, style) = (token.clone().filter(Token::is_good), *style);
        async move {
            if let Some(token) = token {
                return Ok(token.header);
            }
            let (token, style) = self.ask(style).await?;
            let header = token.header.clone();
            *self.state() = State { token: Some(token), style: Some(style) };
            Ok(header)
        }
        .boxed()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new token. A server whose style is not known is asked in both, as by the reference.
    async fn ask(&self, known: Option<Style>) -> Result<(Token, Style), CredentialsError> {
        let OAuth2Arguments { client_secret, client_secret_file, .. } = &self.arguments;
        let secret = match client_secret_file.as_str() {
            "" => client_secret.expose().to_owned(),
            file => credentials::read(Path::new(file)).await?,
        };
        let first = known.unwrap_or(Style::Header);
        match self.ask_in(first, &secret).await {
            Err(TokenError::Refused(_)) if known.is_none() => {
                Ok((self.ask_in(Style::Form, &secret).await.map_err(Box::new)?, Style::Form))
            }
            other => Ok((other.map_err(Box::new)?, first)),
        }
    }

    async fn ask_in(&self, style: Style, secret: &str) -> Result<Token, TokenError> {
        let mut request = Request::new(Bytes::from(self.form(style, secret)));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        let headers = request.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        if style == Style::Header {
            let escaped = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
            let header = credentials::basic(&escaped(&self.arguments.client_id), &escaped(secret));
            let no_header = |_| TokenError::NoToken("client_id or client_secret stand in no header".to_owned());
            headers.insert(header::AUTHORIZATION, credentials::sensitive(&header).map_err(no_header)?);
        }
        let asked = Instant::now();
        let answer = self.client.send(request, MAX_ANSWER).await?;
        if !answer.status().is_success() {
            let said: String = String::from_utf8_lossy(answer.body()).trim().chars().take(MAX_SHOWN).collect();
            return Err(TokenError::Refused(format!("{}: {said}", answer.status())));
        }
        Token::read(answer.body(), asked)
    }

    fn form(&self, style: Style, secret: &str) -> String {
        let OAuth2Arguments { client_id, scopes, endpoint_params, .. } = &self.arguments;
        let mut form = Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if !scopes.is_empty() {
            form.append_pair("scope", &scopes.join(" "));
        }
        if style == Style::Form {
            form.append_pair("client_id", client_id).append_pair("client_secret", secret);
        }
        form.extend_pairs(endpoint_params);
        form.finish()
    }
}

impl Token {
    /// Never shows what it reads.
    fn read(answer: &[u8], asked: Instant) -> Result<Self, TokenError> {
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|error| TokenError::NoToken(format!("line {} column {}", error.line(), error.column())))?;
        let seconds = match &answer.expires_in {
            serde_json::Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        };
        // Go takes any way of writing it, and writes it in this one.
        let scheme = match answer.token_type.to_ascii_lowercase().as_str() {
            "" | "bearer" => "Bearer",
            "mac" => "MAC",
            "basic" => "Basic",
            _ => &answer.token_type,
        };
        let header = credentials::sensitive(&format!("{scheme} {}", answer.access_token));
        let header =
            header.map_err(|_| TokenError::NoToken("it holds a character that no HTTP header has".to_owned()))?;
        let expires =
            seconds.filter(|seconds| *seconds > 0).and_then(|seconds| asked.checked_add(Duration::from_secs(seconds)));
        Ok(Self { header, expires })
    }

    fn is_good(&self) -> bool {
        self.expires.is_none_or(|expires| Instant::now() + EARLY < expires)
    }
}
