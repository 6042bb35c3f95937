//! `otelcol.exporter.otlphttp`: sends spans over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Invalid, TextValue, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Uri;

use super::client::{Compression, check_timeout, http_client, request_headers};
use super::exporter::Exporter;
use super::retry::RetryArguments;
use super::sending_queue::SendingQueueArguments;
use super::tls::TlsArguments;
use crate::component::{CONSUMER_EXPORT, Component, Context};
use crate::upstream::otlp::{OtlpServer, Protocol};

/// What may stand in the block. Only spans of this process arrive: endpoints of other signals have no effect.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = OtlpHttpArguments::validate)]
#[alloy(ignored("debug_metrics", "logs_endpoint", "metrics_endpoint"))]
pub struct OtlpHttpArguments {
    /// Where spans are sent, where that is not the client's endpoint followed by /v1/traces.
    #[alloy(attr, optional)]
    traces_endpoint: String,
    /// How messages are encoded.
    #[alloy(attr, default = Encoding::Proto)]
    encoding: Encoding,
    /// The server and how it is reached.
    #[alloy(block)]
    client: HttpClientArguments,
    /// What is sent again, and when.
    #[alloy(block, optional)]
    retry_on_failure: RetryArguments,
    /// Where batches wait.
    #[alloy(block, optional)]
    sending_queue: SendingQueueArguments,
}

/// What may stand in the `client` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = HttpClientArguments::validate)]
#[alloy(unsupported(
    "auth",
    "compression_params",
    "cookies",
    "disable_keep_alives",
    "force_attempt_http2",
    "http2_ping_timeout",
    "http2_read_idle_timeout",
    "idle_conn_timeout",
    "max_conns_per_host",
    "max_idle_conns",
    "max_idle_conns_per_host",
    "proxy_url",
    "read_buffer_size",
    "write_buffer_size"
))]
struct HttpClientArguments {
    /// The server's URL, perhaps with a base path.
    #[alloy(attr)]
    endpoint: String,
    /// How requests are compressed.
    #[alloy(attr, default = Compression::Gzip)]
    compression: Compression,
    /// Sent with every request.
    #[alloy(attr, optional)]
    headers: BTreeMap<String, String>,
    /// The longest that one attempt may take.
    #[alloy(attr, default = Duration::from_secs(30))]
    timeout: Duration,
    /// TLS, where the URL asks for it.
    #[alloy(block, optional)]
    tls: TlsArguments,
}

/// How messages are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Proto,
}

impl TextValue for Encoding {
    fn parse_text(text: &str) -> Result<Self, String> {
        match text {
            "proto" => Ok(Self::Proto),
            "json" => Err("is an encoding that this version of Flamegate does not have: write \"proto\"".to_owned()),
            _ => Err("must be \"proto\"".to_owned()),
        }
    }

    fn to_text(&self) -> String {
        match self {
            Self::Proto => "proto".to_owned(),
        }
    }
}

impl OtlpHttpArguments {
    fn url(&self) -> Result<Uri, Invalid> {
        if self.traces_endpoint.is_empty() {
            let endpoint = self.client.endpoint.trim_end_matches('/');
            return http_url(&format!("{endpoint}/v1/traces")).map_err(|why| Invalid::attribute("client", why));
        }
        http_url(&self.traces_endpoint).map_err(|why| Invalid::attribute("traces_endpoint", why))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.url().map(drop)
    }
}

impl HttpClientArguments {
    fn validate(&self) -> Result<(), Invalid> {
        http_url(&self.endpoint).map_err(|why| Invalid::attribute("endpoint", why))?;
        check_timeout(self.timeout)?;
        request_headers(&self.headers).map(drop)
    }
}

fn http_url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|error| format!("is no URL: {error}; write it as http://host:4318"))?;
    let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
    match uri.scheme_str() {
        Some("http" | "https") if authority.contains('@') => Err("holds a user name; use `headers` instead".to_owned()),
        Some("http" | "https") if !authority.is_empty() => Ok(uri),
        Some("http" | "https") | None => Err("has no scheme or no host; write it as http://host:4318".to_owned()),
        Some(scheme) => Err(format!("has the scheme {scheme}; only http and https are possible")),
    }
}

/// The running component.
pub struct ExporterOtlpHttp(Exporter);

impl Component for ExporterOtlpHttp {
    const NAME: &'static str = "otelcol.exporter.otlphttp";
    const SUMMARY: &'static str = "Sends the spans of this process to a server, in OTLP over HTTP.";
    const EXPORTS: &'static [Export] = &[CONSUMER_EXPORT];
    type Arguments = OtlpHttpArguments;

    fn build(arguments: &OtlpHttpArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let client = &arguments.client;
        let server = OtlpServer {
            protocol: match arguments.encoding {
                Encoding::Proto => Protocol::Http,
            },
            url: arguments.url()?,
            headers: request_headers(&client.headers)?,
            timeout: client.timeout,
            gzip: client.compression == Compression::Gzip,
        };
        let http = http_client(&client.tls, false)?;
        let (retry, queue) = (&arguments.retry_on_failure, &arguments.sending_queue);
        Exporter::new(context, server, http, retry, queue).map(Self)
    }

    fn exports(&self) -> Value {
        self.0.exports()
    }

    fn activate(&self) {
        self.0.activate();
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.0.stop().boxed()
    }

    fn forget(&self) {
        self.0.forget();
    }
}
