//! `discovery.http`: targets that a web server tells.

use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, StatusCode, Uri, header};
use profiler_core::labels::Labels;

use super::asked::{Asked, Source};
use super::groups::{self, GroupsError};
use super::{Discovery, Search};
use crate::component::Context;
use crate::telemetry::metrics::Counter;
use crate::upstream::http_client::{HttpClient, HttpClientArguments, HttpError, parse_url};

#[cfg(test)]
mod tests;

/// The label that says which URL a target was found behind.
const URL: &str = "__meta_url";
/// Tells the server how often it is asked, in seconds.
const INTERVAL: &str = "x-prometheus-refresh-interval-seconds";
/// Most bytes of an answer.
const MAX_ANSWER: usize = 16 << 20;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = DiscoveryHttpArguments::validate)]
pub struct DiscoveryHttpArguments {
    /// Where the targets are told.
    #[alloy(attr)]
    url: String,
    /// How often they are asked for, and the longest that one exchange may take.
    #[alloy(attr, default = Duration::from_secs(60))]
    refresh_interval: Duration,
    /// How the server is asked.
    #[alloy(flatten)]
    client: HttpClientArguments,
}

impl DiscoveryHttpArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.refresh_interval.is_zero() {
            return Err(Invalid::attribute("refresh_interval", "must be longer than 0s"));
        }
        self.uri().map(drop)
    }

    fn uri(&self) -> Result<Uri, Invalid> {
        parse_url(&self.url).map_err(|error| Invalid::attribute("url", error.to_string()))
    }
}

/// The server of a block.
pub struct Http(Arc<Asked<Server>>);

struct Server {
    client: HttpClient,
    url: String,
    uri: Uri,
    headers: HeaderMap,
    failures: Counter,
}

/// Why an answer holds no targets.
#[derive(Debug, thiserror::Error)]
enum AnswerError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the server answered {0}; only 200 brings targets")]
    Status(StatusCode),
    #[error("the content type of the answer is {0:?}; only \"application/json\" in UTF-8 brings targets")]
    ContentType(String),
    #[error("the answer {0}")]
    Groups(#[from] GroupsError),
}

impl Discovery for Http {
    const NAME: &'static str = "discovery.http";
    const SUMMARY: &'static str = "Exports the targets that a web server tells, and asks it again and again.";
    type Arguments = DiscoveryHttpArguments;

    fn build(arguments: &Self::Arguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let DiscoveryHttpArguments { url, refresh_interval, client } = arguments;
        let seconds = HeaderValue::try_from(refresh_interval.as_secs_f64().to_string())
            .map_err(|error| Invalid::attribute("refresh_interval", error.to_string()))?;
        let headers = [
            (header::ACCEPT, HeaderValue::from_static("application/json")),
            (header::HeaderName::from_static(INTERVAL), seconds),
        ];
        let server = Server {
            client: HttpClient::new(client)?,
            url: url.clone(),
            uri: arguments.uri()?,
            headers: headers.into_iter().collect(),
            failures: context.services.metrics.discovery_http(&context.component),
        };
        Ok(Self(Asked::new(server, *refresh_interval, previous.map(|previous| &*previous.0))))
    }

    fn search(&self) -> impl Search {
        self.0.search()
    }
}

impl Source for Server {
    type Error = AnswerError;

    async fn ask(&self) -> Result<Vec<Labels>, AnswerError> {
        let mut request = Request::new(Bytes::new());
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = self.headers.clone();
        let answer = self.client.send(request, MAX_ANSWER).await?;
        if answer.status() != StatusCode::OK {
            return Err(AnswerError::Status(answer.status()));
        }
        let content_type = answer.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
        let content_type = String::from_utf8_lossy(content_type);
        if !is_json(&content_type) {
            return Err(AnswerError::ContentType(content_type.into_owned()));
        }
        let body = answer.into_body();
        Ok(groups::targets(&groups::from_json(&body)?, (URL, &self.url))?)
    }

    fn name(&self) -> &str {
        &self.url
    }

    fn failed(&self) {
        self.failures.inc();
    }
}

/// `application/json`, alone or with the one charset that JSON has.
fn is_json(content_type: &str) -> bool {
    let (essence, charset) = content_type.trim().split_once(';').unwrap_or((content_type.trim(), "charset=utf-8"));
    let charset = charset.trim_start().to_ascii_lowercase();
    essence.eq_ignore_ascii_case("application/json") && matches!(&*charset, "charset=utf-8" | "charset=\"utf-8\"")
}
