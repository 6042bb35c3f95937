//! `otelcol.exporter.otlp`: sends spans over gRPC.

use std::collections::BTreeMap;
use std::time::Duration;

use alloy_syntax::schema::Export;
use alloy_syntax::{Arguments, Invalid, Value};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::Uri;
use http::uri::{Authority, Scheme};

use super::client::{Compression, check_timeout, http_client, request_headers};
use super::exporter::Exporter;
use super::retry::RetryArguments;
use super::sending_queue::SendingQueueArguments;
use super::tls::TlsArguments;
use crate::component::{CONSUMER_EXPORT, Component, Context};
use crate::upstream::otlp::{OtlpServer, Protocol};

/// What may stand in the block. Only spans of this process arrive.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = OtlpArguments::validate)]
#[alloy(ignored("debug_metrics"))]
pub struct OtlpArguments {
    /// The longest that one attempt may take.
    #[alloy(attr, default = Duration::from_secs(5))]
    timeout: Duration,
    /// The server and how it is reached.
    #[alloy(block)]
    client: GrpcClientArguments,
    /// What is sent again, and when.
    #[alloy(block, optional)]
    retry_on_failure: RetryArguments,
    /// Where batches wait.
    #[alloy(block, optional)]
    sending_queue: SendingQueueArguments,
}

/// What may stand in the `client` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = GrpcClientArguments::validate)]
#[alloy(unsupported(
    "auth",
    "authority",
    "balancer_name",
    "keepalive",
    "read_buffer_size",
    "wait_for_ready",
    "write_buffer_size"
))]
struct GrpcClientArguments {
    /// The server's host:port.
    #[alloy(attr)]
    endpoint: String,
    /// How requests are compressed.
    #[alloy(attr, default = Compression::Gzip)]
    compression: Compression,
    /// Sent with every request.
    #[alloy(attr, optional)]
    headers: BTreeMap<String, String>,
    /// TLS, which there is unless it says otherwise.
    #[alloy(block, optional)]
    tls: TlsArguments,
}

impl OtlpArguments {
    fn validate(&self) -> Result<(), Invalid> {
        check_timeout(self.timeout)
    }
}

impl GrpcClientArguments {
    fn url(&self) -> Result<Uri, Invalid> {
        let written = self.endpoint.as_str();
        // As in the reference a scheme may stand before it, of which only `https` says anything.
        let (https, rest) = match written.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => (false, written.strip_prefix("dns:///").unwrap_or(written)),
        };
        let bad = |why: &str| Err(Invalid::attribute("endpoint", format!("{why}; write it as host:4317")));
        let authority = match rest.parse::<Authority>() {
            Ok(authority) if authority.as_str().contains('@') => return bad("holds a user name"),
            Ok(authority) if authority.port_u16().is_none() => return bad("has no port"),
            Ok(authority) => authority,
            Err(_) => return bad("is not a host and a port"),
        };
        let scheme = if self.tls.insecure && !https { Scheme::HTTP } else { Scheme::HTTPS };
        let url = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build();
        url.map_err(|error| Invalid::attribute("endpoint", error.to_string()))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.url()?;
        request_headers(&self.headers).map(drop)
    }
}

/// The running component.
pub struct ExporterOtlp(Exporter);

impl Component for ExporterOtlp {
    const NAME: &'static str = "otelcol.exporter.otlp";
    const SUMMARY: &'static str = "Sends the spans of this process to a server, in OTLP over gRPC.";
    const EXPORTS: &'static [Export] = &[CONSUMER_EXPORT];
    type Arguments = OtlpArguments;

    fn build(arguments: &OtlpArguments, context: &Context<'_>, _: Option<&Self>) -> Result<Self, Invalid> {
        let client = &arguments.client;
        let server = OtlpServer {
            protocol: Protocol::Grpc,
            url: client.url()?,
            headers: request_headers(&client.headers)?,
            timeout: arguments.timeout,
            gzip: client.compression == Compression::Gzip,
        };
        let http = http_client(&client.tls, true)?;
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
