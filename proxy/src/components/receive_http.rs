//! `pyroscope.receive_http`: takes profiles from SDKs, on `/ingest` and on the push API.

use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid};
use bytesize::ByteSize;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use self::app::{Admission, Listening, ReceiveApp};
use self::auth::{Auth, AuthArguments};
use self::forward::ForwardHeaders;
use self::grpc::GrpcArguments;
use self::http2::Http2Arguments;
use self::rate_limit::{RateLimit, RateLimitArguments};
use self::resends::Resends;
use super::size::Size;
use crate::component::{Component, Context};
use crate::ingest::{App, Claim, Limits, ListenerAddress, LocalAddress, Protocols};
use crate::pipeline::{Budget, Fanout, Flow, Receiver};
use crate::telemetry::metrics::{ComponentLabels, Metrics};
use crate::tls::{ServerTls, TlsArguments};

mod app;
mod auth;
mod debug_info_route;
mod forward;
mod grpc;
mod http2;
mod ingest_route;
mod push_route;
mod rate_limit;
mod resends;

/// The reference's.
const USUAL_PORT: i64 = 8080;
/// What Linux has room for in the address of a Unix socket, without the zero at its end.
const LONGEST_PATH: usize = 107;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = ReceiveHttpArguments::validate)]
pub struct ReceiveHttpArguments {
    /// Where profiles go.
    #[alloy(attr)]
    forward_to: Vec<Receiver>,
    /// Bytes of a body, as sent and decompressed.
    #[alloy(attr, default = Size(ByteSize::mib(64)))]
    max_body_size: Size,
    /// Bytes of all bodies held at once.
    #[alloy(attr, default = Size(ByteSize::mib(256)))]
    max_inflight_bytes: Size,
    /// The longest that handing on a file of debug information may take.
    #[alloy(attr, default = Duration::from_secs(120))]
    debug_info_upload_timeout: Duration,
    /// Names of headers that go on to the endpoints with the profiles.
    #[alloy(attr, optional)]
    forward_headers: Vec<String>,
    /// Who may send; without it anyone may.
    #[alloy(block, optional)]
    auth: Option<AuthArguments>,
    /// How much each may send.
    #[alloy(block, optional)]
    rate_limit: Option<RateLimitArguments>,
    /// How long requests in flight may take to finish when the component ends.
    #[alloy(attr, default = Duration::from_secs(30))]
    graceful_shutdown_timeout: Duration,
    /// Where and how to listen.
    #[alloy(block, optional)]
    http: HttpArguments,
    /// Has no effect: gRPC is served where the `http` block listens.
    #[alloy(block, optional)]
    grpc: Option<GrpcArguments>,
}

#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = HttpArguments::validate)]
struct HttpArguments {
    /// Host name or address; empty for all. `unix:///run/flamegate.sock` is a Unix socket.
    #[alloy(attr, optional)]
    listen_address: String,
    /// Port; 0 for any free one, which the log names.
    #[alloy(attr, default = USUAL_PORT)]
    listen_port: i64,
    /// Connections at once; 0 for any number.
    #[alloy(attr, default = 16_384)]
    conn_limit: i64,
    /// From a request's first byte to its last.
    #[alloy(attr, default = Duration::from_secs(30))]
    server_read_timeout: Duration,
    /// From a request's last byte to the answer's.
    #[alloy(attr, default = Duration::from_secs(30))]
    server_write_timeout: Duration,
    /// Silence between two requests of a connection.
    #[alloy(attr, default = Duration::from_secs(120))]
    server_idle_timeout: Duration,
    /// TLS; without it the listener speaks in plain text.
    #[alloy(block, optional)]
    tls: Option<TlsArguments>,
    /// How HTTP/2 is spoken.
    #[alloy(block, optional)]
    http2: Http2Arguments,
}

impl ReceiveHttpArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.debug_info_upload_timeout.is_zero() {
            let message = "must be longer than 0s: no file could be handed on";
            return Err(Invalid::attribute("debug_info_upload_timeout", message));
        }
        ForwardHeaders::new(&self.forward_headers).map(drop)
    }
}

impl HttpArguments {
    fn address(&self) -> Result<ListenerAddress, Invalid> {
        let Some(path) = self.listen_address.strip_prefix("unix://") else {
            return Ok(ListenerAddress::Tcp { host: self.listen_address.clone(), port: self.port()? });
        };
        if !path.starts_with('/') || path.len() > LONGEST_PATH {
            let message = format!("a Unix socket is written unix:///path, of at most {LONGEST_PATH} bytes");
            return Err(Invalid::attribute("listen_address", message));
        }
        if self.listen_port != USUAL_PORT {
            return Err(Invalid::attribute("listen_port", "a Unix socket has no port: remove it"));
        }
        Ok(ListenerAddress::Unix(path.into()))
    }

    fn port(&self) -> Result<u16, Invalid> {
        let message = "must be between 0 and 65535; 0 takes any free port";
        u16::try_from(self.listen_port).map_err(|_| Invalid::attribute("listen_port", message))
    }

    fn connections(&self) -> Result<Option<usize>, Invalid> {
        let limit = usize::try_from(self.conn_limit);
        let limit = limit.map_err(|_| Invalid::attribute("conn_limit", "must not be negative; 0 is no limit"))?;
        Ok((limit > 0).then_some(limit))
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.address()?;
        self.connections()?;
        let timeouts = [
            ("server_read_timeout", self.server_read_timeout),
            ("server_write_timeout", self.server_write_timeout),
            ("server_idle_timeout", self.server_idle_timeout),
        ];
        let zero = timeouts.into_iter().find(|(_, timeout)| timeout.is_zero());
        zero.map_or(Ok(()), |(name, _)| {
            Err(Invalid::attribute(name, "must be longer than 0s: no request could be served"))
        })
    }
}

/// The running component.
pub struct ReceiveHttp {
    claim: Claim,
    memory: Budget,
    inflight_bytes: usize,
    forward_to: Fanout,
    rate_limit: Option<Arc<RateLimit>>,
    resends: Arc<Resends>,
    tls: Option<Arc<ServerTls>>,
    app: Arc<dyn App>,
    component: ComponentLabels,
    metrics: Arc<Metrics>,
    shutdown_timeout: Duration,
    grpc_block: bool,
}

impl Component for ReceiveHttp {
    const NAME: &'static str = "pyroscope.receive_http";
    const SUMMARY: &'static str = "Takes profiles from SDKs, on /ingest and on the push API.";
    type Arguments = ReceiveHttpArguments;

    fn build(
        arguments: &ReceiveHttpArguments,
        context: &Context<'_>,
        previous: Option<&Self>,
    ) -> Result<Self, Invalid> {
        let Context { component, services } = context;
        let http = &arguments.http;
        let address = http.address()?;
        let claim = services.listeners.claim(&address, component);
        let claim = claim.map_err(|error| Invalid::block(error.to_string()))?;

        let inflight_bytes = arguments.max_inflight_bytes.bytes();
        // Bodies that the predecessor holds count on.
        let memory = previous.map_or_else(|| Budget::new(inflight_bytes), |previous| previous.memory.clone());
        let limits = Limits {
            max_body_size: arguments.max_body_size.bytes(),
            memory: memory.clone(),
            read_timeout: http.server_read_timeout,
            write_timeout: http.server_write_timeout,
            idle_timeout: http.server_idle_timeout,
            connections: http.connections()?,
        };
        let metrics = services.metrics.clone();
        let forward_to = Fanout::new(arguments.forward_to.clone()).seen_at(context.point());
        let tracer = services.tracer.clone();
        let name: Arc<str> = component.to_string().into();
        let rate_limit = match (&arguments.rate_limit, previous.and_then(|previous| previous.rate_limit.clone())) {
            (None, _) => None,
            // What was sent before the reload counts on.
            (Some(block), Some(same)) if same.is_of(block) => Some(same),
            (Some(block), _) => Some(Arc::new(RateLimit::new(block)?)),
        };
        let admission = Admission {
            auth: arguments.auth.as_ref().map(|auth| Auth::new(auth, &name)).transpose()?,
            rate_limit: rate_limit.clone(),
            forward_headers: ForwardHeaders::new(&arguments.forward_headers)?,
            debug_info_upload_timeout: arguments.debug_info_upload_timeout,
        };
        let resends = previous.map_or_else(|| Arc::new(Resends::new()), |previous| previous.resends.clone());
        let tls = match (&http.tls, previous.and_then(|previous| previous.tls.clone())) {
            (None, _) => None,
            // Its connections stay.
            (Some(block), Some(same)) if same.is_of(block) => Some(same),
            (Some(block), _) => {
                let tls = ServerTls::new(block, &Protocols::ALPN, name, metrics.tls(&component.component_id));
                Some(Arc::new(tls.map_err(|error| Invalid::attribute("http", format!("tls: {error}")))?))
            }
        };
        let protocols = Protocols { tls: tls.clone(), http2: http.http2.settings()? };
        let series = metrics.receive_http(component);
        let listening = Listening { limits, protocols };
        let app = ReceiveApp::new(component, forward_to.clone(), listening, admission, resends.clone(), series, tracer);
        Ok(Self {
            claim,
            memory,
            inflight_bytes,
            forward_to,
            rate_limit,
            resends,
            tls,
            app: Arc::new(app),
            component: component.clone(),
            metrics,
            shutdown_timeout: arguments.graceful_shutdown_timeout,
            grpc_block: arguments.grpc.is_some(),
        })
    }

    fn flow(&self) -> Option<Flow> {
        Some(self.forward_to.flow())
    }

    fn address(&self) -> Option<LocalAddress> {
        Some(self.claim.local_address().clone())
    }

    fn activate(&self) {
        self.memory.resize(self.inflight_bytes);
        self.claim.serve(self.app.clone());
        let addr = self.claim.local_address();
        tracing::info!(component_id = %self.component, %addr, "listening");
        if self.grpc_block {
            tracing::warn!(component_id = %self.component, %addr, "gRPC is served here, beside HTTP: the grpc block has no effect and may be removed");
        }
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        self.claim.retire(self.shutdown_timeout).boxed()
    }

    fn forget(&self) {
        self.metrics.forget(&self.component);
    }
}

#[cfg(test)]
mod tests {
    use alloy_syntax::TextValue;

    use super::*;

    #[test]
    fn sizes_are_shown_as_they_can_be_read() {
        let cases = [
            ("64MiB", "64MiB"),
            ("1024 KiB", "1MiB"),
            ("3GiB", "3GiB"),
            ("1500", "1500B"),
            ("1.5KiB", "1536B"),
            ("2kB", "2000B"),
        ];
        for (written, shown) in cases {
            let size = Size::parse_text(written).unwrap();
            assert_eq!(size.to_text(), shown);
            assert_eq!(Size::parse_text(shown), Ok(size));
        }
    }
}
