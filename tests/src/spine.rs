//! The shortest pipeline as a running process: `pyroscope.receive_http` → `pyroscope.write` → one backend.

use std::error::Error;
use std::io;
use std::net::SocketAddr;

use bytes::Bytes;

use crate::backend::{Backend, Options, Script};
use crate::blocks::{self, ReceiveHttp};
use crate::flamegate::{Flamegate, FlamegateError};
use crate::polling::{NeverHappened, eventually};
use crate::pprof::ProfileBuilder;
use crate::push_api::PushRequest;
use crate::push_client::PushClient;

/// Id of the receiver.
pub const RECEIVE: &str = "pyroscope.receive_http.default";
/// Id of the writer.
pub const WRITE: &str = "pyroscope.write.default";

/// What is particular about a spine; the default waits little between attempts.
#[derive(Debug, Clone)]
pub struct Settings<'s> {
    /// Further lines of `pyroscope.receive_http`.
    pub receive: &'s str,
    /// Further lines of its `http` block.
    pub http: &'s str,
    /// Further lines of the endpoint.
    pub endpoint: &'s str,
    /// What the backend answers.
    pub script: Script,
}

impl Default for Settings<'_> {
    fn default() -> Self {
        Self { receive: "", http: "", endpoint: "min_backoff_period = \"1ms\"", script: Script::judging() }
    }
}

/// A running spine.
#[derive(Debug)]
pub struct Spine {
    /// The process.
    pub flamegate: Flamegate,
    /// What it writes to.
    pub backend: Backend,
    /// Where it receives.
    pub address: SocketAddr,
    /// The same as a URL without a path.
    pub url: String,
    /// What it runs.
    pub configuration: String,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum SpineError {
    /// No backend.
    #[error("start the backend: {0}")]
    Backend(#[from] io::Error),
    /// No process.
    #[error(transparent)]
    Flamegate(#[from] FlamegateError),
}

impl Spine {
    /// Starts backend and process.
    ///
    /// # Errors
    /// When one of them does not start.
    pub async fn start(settings: Settings<'_>) -> Result<Self, SpineError> {
        let backend = Backend::start_as(Options { script: settings.script, ..Options::default() }).await?;
        let receive =
            ReceiveHttp { label: "default", settings: settings.receive, http: settings.http, writes: &["default"] };
        let configuration = receive.block() + &blocks::write("default", &[backend.url()], settings.endpoint);
        let flamegate = Flamegate::start(&configuration, &[]).await?;
        let address = flamegate.listener(RECEIVE).await?;
        Ok(Self { flamegate, backend, address, url: format!("http://{address}"), configuration })
    }

    /// Sends a good profile and expects it to be taken.
    ///
    /// # Errors
    /// When it is not.
    pub async fn serves(&self) -> Result<(), Box<dyn Error>> {
        let reply = PushClient::CONNECT.push(&self.url, &good_push()).await?;
        match reply.error {
            None => Ok(()),
            Some(error) => Err(format!("a good profile was answered {}: {error:?}", reply.status).into()),
        }
    }

    /// What a counter or gauge of a component shows; 0 where it has none yet.
    ///
    /// # Errors
    /// When `/metrics` does not answer.
    pub async fn metric(&self, name: &str, labels: &[(&str, &str)]) -> Result<f64, FlamegateError> {
        Ok(self.flamegate.metrics().await?.sum(name, labels).unwrap_or_default())
    }

    /// How many requests were refused for this reason.
    ///
    /// # Errors
    /// As [`metric`](Self::metric).
    pub async fn refused(&self, reason: &str) -> Result<f64, FlamegateError> {
        let labels = [("component_id", RECEIVE), ("reason", reason)];
        self.metric("flamegate_receive_http_refused_total", &labels).await
    }

    /// Waits until so many requests were refused for this reason.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn wait_refused(&self, reason: &str, count: f64) -> Result<(), NeverHappened> {
        let what = format!("{count} requests refused as {reason}");
        // At least: one too many is to show at once, not after the deadline.
        let look = async || (self.refused(reason).await.ok()? >= count).then_some(());
        eventually(&what, look).await
    }
}

/// Labels that every backend takes.
pub const GOOD_LABELS: [(&str, &str); 2] = [("__name__", "process_cpu"), ("service_name", "shop")];

/// A profile that every backend takes.
#[must_use]
pub fn good_profile() -> Bytes {
    ProfileBuilder::cpu().sample(&["leaf", "main"], &[10], &[]).encode()
}

/// A push that every backend takes.
#[must_use]
pub fn good_push() -> PushRequest {
    PushRequest::one(&GOOD_LABELS, good_profile())
}
