//! Whether a backend is well, asked of itself.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Uri, header};
use pingora_core::{Error, ErrorType};
use pingora_load_balancing::Backend as Member;
use pingora_load_balancing::health_check::HealthCheck;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::backend::Backend;
use crate::upstream::endpoint::{Base, USER_AGENT};
use crate::upstream::http_client::Credentials;
use crate::upstream::{Segments, UrlError};

/// How backends are asked whether they are well.
#[derive(Debug, Clone)]
pub struct HealthCheckSettings {
    /// What is asked.
    pub probe: Probe,
    /// Between two checks of a backend.
    pub interval: Duration,
    /// The longest that one may take.
    pub timeout: Duration,
    /// Checks in a row that must succeed until it gets requests again.
    pub healthy_threshold: usize,
    /// Checks in a row that must fail until it gets none.
    pub unhealthy_threshold: usize,
}

/// What a check does.
#[derive(Debug, Clone)]
pub enum Probe {
    /// Opens a connection.
    Tcp,
    /// Asks for a path, as the endpoint's requests are made: over TLS where they are, and with their headers. Well is
    /// who answers with a status of 2xx.
    Http {
        /// Begins with a slash; the endpoint's base path does not stand before it.
        path: String,
        /// The endpoint's headers.
        headers: HeaderMap,
        /// Those for the Authorization header.
        credentials: Option<Credentials>,
    },
}

impl HealthCheckSettings {
    /// The check of an endpoint's backends. Pingora's own ones have connections of their own, which know nothing of the
    /// endpoint's `tls_config`.
    pub(super) fn check(self, base: &Base) -> Result<Check, UrlError> {
        let ask = match self.probe {
            Probe::Tcp => Ask::Connect,
            Probe::Http { path, mut headers, credentials } => {
                headers.entry(header::USER_AGENT).or_insert(header::HeaderValue::from_static(USER_AGENT));
                Ask::Get(Box::new(Question { uri: base.at(&path)?, headers, credentials }))
            }
        };
        let Self { timeout, healthy_threshold, unhealthy_threshold, .. } = self;
        Ok(Check { ask, timeout, healthy_threshold, unhealthy_threshold })
    }
}

pub(super) struct Check {
    ask: Ask,
    timeout: Duration,
    healthy_threshold: usize,
    unhealthy_threshold: usize,
}

enum Ask {
    Connect,
    Get(Box<Question>),
}

struct Question {
    uri: Uri,
    headers: HeaderMap,
    credentials: Option<Credentials>,
}

#[async_trait]
impl HealthCheck for Check {
    async fn check(&self, member: &Member) -> pingora_core::Result<()> {
        let Some(backend) = Backend::of(member) else { return Ok(()) };
        let said = match timeout(self.timeout, self.ask.of(backend)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => why,
            Err(_) => format!("no answer within {:?}", self.timeout),
        };
        let text: Arc<str> = format!("health check: {said}").into();
        backend.note_error(&text);
        Error::e_explain(ErrorType::Custom("health check"), said)
    }

    async fn health_status_change(&self, member: &Member, healthy: bool) {
        if let Some(backend) = Backend::of(member) {
            backend.checked(healthy);
        }
    }

    fn health_threshold(&self, success: bool) -> usize {
        if success { self.healthy_threshold } else { self.unhealthy_threshold }
    }
}

impl Ask {
    /// Asks; says why if all is not well.
    async fn of(&self, backend: &Backend) -> Result<(), String> {
        let Question { uri, headers, credentials } = match self {
            Self::Connect => {
                return TcpStream::connect(backend.address).await.map(drop).map_err(|error| error.to_string());
            }
            Self::Get(question) => &**question,
        };
        let mut request = Request::new(Segments::from(Bytes::new()));
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        if let Some(credentials) = credentials {
            let value = credentials.header().await.map_err(|error| error.to_string())?;
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        let answer = backend.client.send(request).await.map_err(|error| error.to_string())?;
        if answer.status.is_success() { Ok(()) } else { Err(format!("{uri} answers {}", answer.status)) }
    }
}
