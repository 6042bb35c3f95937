//! A URL that is asked again and again for a text.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use tokio::runtime::Handle;

use crate::upstream::http_client::{HttpClient, HttpClientArguments, HttpError, parse_url};

/// Most bytes of an answer, as of a configuration file. It is held in memory.
const MAX_ANSWER: usize = 16 << 20;

/// Who is asked, and how.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = PolledUrlArguments::validate)]
pub struct PolledUrlArguments {
    /// Where the text is.
    #[alloy(attr)]
    pub(crate) url: String,
    /// How often it is asked for.
    #[alloy(attr, default = Duration::from_secs(60))]
    poll_frequency: Duration,
    /// The longest that one exchange may take.
    #[alloy(attr, default = Duration::from_secs(10))]
    poll_timeout: Duration,
    /// The request's method.
    #[alloy(attr, default = "GET".to_owned())]
    method: String,
    /// The request's headers.
    #[alloy(attr, optional)]
    headers: BTreeMap<String, String>,
    /// The request's body.
    #[alloy(attr, optional)]
    body: String,
    /// How the server is asked.
    #[alloy(block, optional)]
    client: HttpClientArguments,
}

impl PolledUrlArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.poll_frequency.is_zero() {
            return Err(Invalid::attribute("poll_frequency", "must be greater than 0"));
        }
        if self.poll_timeout.is_zero() {
            return Err(Invalid::attribute("poll_timeout", "must be greater than 0"));
        }
        if self.poll_timeout >= self.poll_frequency {
            return Err(Invalid::attribute("poll_timeout", "must be less than poll_frequency"));
        }
        self.question().map(drop)
    }

    fn question(&self) -> Result<Question, Invalid> {
        let uri = parse_url(&self.url).map_err(|error| Invalid::attribute("url", error.to_string()))?;
        let method = if self.method.is_empty() { "GET" } else { &self.method };
        let method = Method::try_from(method)
            .map_err(|_| Invalid::attribute("method", format!("{method:?} is no method of HTTP")))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            let bad = |what: &str| Invalid::attribute("headers", format!("{name:?}: no HTTP header has such a {what}"));
            let header = HeaderName::try_from(name).map_err(|_| bad("name"))?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| bad("value"))?);
        }
        Ok(Question { method, uri, headers, body: self.body.clone().into() })
    }
}

/// The URL, and the connections to whoever answers there.
pub(crate) struct PolledUrl {
    client: HttpClient,
    question: Question,
    frequency: Duration,
    timeout: Duration,
}

struct Question {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Why there is no text.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PollError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the server answered {0}; only 200 brings a text")]
    Status(StatusCode),
    #[error("no whole answer within poll_timeout ({0:?})")]
    Timeout(Duration),
    #[error("the answer is not UTF-8: {0}")]
    NotText(#[from] std::str::Utf8Error),
}

impl PolledUrl {
    pub(crate) fn new(arguments: &PolledUrlArguments) -> Result<Self, Invalid> {
        Ok(Self {
            client: HttpClient::new(&arguments.client)?,
            question: arguments.question()?,
            frequency: arguments.poll_frequency,
            timeout: arguments.poll_timeout,
        })
    }

    /// The text that a component is built with; `what` it is. Blocks: a configuration is prepared on a thread that may.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn first(&self, what: &str) -> Result<String, Invalid> {
        let failed = |error: String| Invalid::attribute("url", format!("cannot fetch {what}: {error}"));
        let runtime = Handle::try_current().map_err(|error| failed(error.to_string()))?;
        runtime.block_on(self.fetch()).map_err(|error| failed(error.to_string()))
    }

    /// Waits until it is time, and asks again.
    ///
    /// # Errors
    /// There is no text.
    pub(crate) async fn next(&self) -> Result<String, PollError> {
        tokio::time::sleep(self.frequency).await;
        self.fetch().await
    }

    async fn fetch(&self) -> Result<String, PollError> {
        let mut request = Request::new(self.question.body.clone());
        *request.method_mut() = self.question.method.clone();
        *request.uri_mut() = self.question.uri.clone();
        *request.headers_mut() = self.question.headers.clone();
        let exchange = tokio::time::timeout(self.timeout, self.client.send(request, MAX_ANSWER)).await;
        let answer = exchange.map_err(|_| PollError::Timeout(self.timeout))??;
        if answer.status() != StatusCode::OK {
            return Err(PollError::Status(answer.status()));
        }
        Ok(str::from_utf8(answer.body())?.trim().to_owned())
    }
}
