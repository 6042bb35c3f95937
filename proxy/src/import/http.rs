//! `import.http`: a module from a web server, asked again from time to time.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, Value};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri};
use tokio::runtime::Handle;

use super::Imported;
use crate::component::{Component, Context, Health};
use crate::config::Source;
use crate::latest::{Latest, Reread};
use crate::upstream::http_client::{HttpClient, HttpClientArguments, HttpError, parse_url};

/// Most bytes of a module, as of a configuration file.
const MAX_MODULE: usize = 16 << 20;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ImportHttpArguments::validate)]
pub struct ImportHttpArguments {
    /// Where the module is.
    #[alloy(attr)]
    url: String,
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

impl ImportHttpArguments {
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

/// The import.
pub struct ImportHttp {
    server: Arc<Server>,
    poll_frequency: Duration,
    latest: Latest<Imported>,
}

/// Who is asked for the module, and how.
struct Server {
    client: HttpClient,
    question: Question,
    timeout: Duration,
    /// The import's own name, for whoever reads what is wrong in the module.
    name: String,
    module_path: Arc<str>,
}

struct Question {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

/// Why there is no module.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the server answered {0}; only 200 brings a module")]
    Status(StatusCode),
    #[error("no whole answer within poll_timeout ({0:?})")]
    Timeout(Duration),
    #[error("the answer is not UTF-8: {0}")]
    NotText(#[from] std::str::Utf8Error),
}

impl Component for ImportHttp {
    const NAME: &'static str = "import.http";
    const SUMMARY: &'static str = "Brings custom components from a web server, and asks it again and again.";
    type Arguments = ImportHttpArguments;

    fn build(arguments: &ImportHttpArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let folder = arguments.url.rsplit_once('/').map_or("", |(folder, _)| folder);
        let server = Server {
            client: HttpClient::new(&arguments.client)?,
            question: arguments.question()?,
            timeout: arguments.poll_timeout,
            name: context.component.to_string(),
            module_path: format!("{folder}/").into(),
        };
        let failed = |error: String| Invalid::attribute("url", format!("cannot fetch the module: {error}"));
        // A configuration is prepared on a thread that may block.
        let runtime = Handle::try_current().map_err(|error| failed(error.to_string()))?;
        let imported = runtime.block_on(server.fetch()).map_err(|error| failed(error.to_string()))?;
        let latest = Latest::new(imported, context);
        Ok(Self { server: Arc::new(server), poll_frequency: arguments.poll_frequency, latest })
    }

    fn exports(&self) -> Value {
        self.latest.content().exports()
    }

    fn health(&self) -> Option<Health> {
        Some(self.latest.health())
    }

    fn activate(&self) {
        self.latest.follow(Polled { server: self.server.clone(), every: self.poll_frequency });
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.latest.stop();
        futures_util::future::ready(()).boxed()
    }
}

struct Polled {
    server: Arc<Server>,
    every: Duration,
}

impl Reread for Polled {
    type Content = Imported;
    type Error = FetchError;

    async fn next(&mut self) -> Result<Imported, FetchError> {
        tokio::time::sleep(self.every).await;
        self.server.fetch().await
    }
}

impl Server {
    async fn fetch(&self) -> Result<Imported, FetchError> {
        let mut request = Request::new(self.question.body.clone());
        *request.method_mut() = self.question.method.clone();
        *request.uri_mut() = self.question.uri.clone();
        *request.headers_mut() = self.question.headers.clone();
        let exchange = tokio::time::timeout(self.timeout, self.client.send(request, MAX_MODULE)).await;
        let answer = exchange.map_err(|_| FetchError::Timeout(self.timeout))??;
        if answer.status() != StatusCode::OK {
            return Err(FetchError::Status(answer.status()));
        }
        let text = str::from_utf8(answer.body())?.trim().to_owned();
        let files = vec![Source { name: self.name.clone(), text }];
        Ok(Imported { files, module_path: self.module_path.clone(), remote: true })
    }
}
