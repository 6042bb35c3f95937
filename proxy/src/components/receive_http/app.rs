//! What is behind the listener: its routes, and the words for everything else.

use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, StatusCode, header};
use profiler_core::labels::Labels;

use super::auth::Auth;
use super::debug_info_route::UPLOAD;
use super::forward::ForwardHeaders;
use super::rate_limit::RateLimit;
use super::resends::{Delivery, Resends};
use super::{debug_info_route, ingest_route, push_route};
use crate::ingest::{Answered, App, Head, Limits, Protocols, Refusal, Reply, Request, Route};
use crate::pipeline::{Batch, BodyStream, Code, Fanout, Fault, Origin, PushError, Retry, Share};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::receive_http::{METHODS, OTHER};
use crate::telemetry::metrics::{ComponentLabels, Histogram, IntGauge, ReceiveHttpMetrics, RequestLabels};
use crate::telemetry::traces::{FinishedSpan, Span, SpanStatus, Tracer};
use crate::wire::{KnownLabels, ingest, push};

const INGEST: Route = Route(ingest::PATH);
const PUSH: Route = Route(push::PATH);
/// When a sender that found no memory may come again.
const BUSY_RETRY_AFTER: &str = "1";

pub(super) struct ReceiveApp {
    pub(super) component_id: Arc<str>,
    pub(super) forward_to: Fanout,
    pub(super) limits: Limits,
    protocols: Protocols,
    pub(super) admission: Admission,
    resends: Arc<Resends>,
    pub(super) metrics: ReceiveHttpMetrics,
    /// Of lines about names that cannot be read.
    pub(super) unreadable_names: LogLimit,
    /// Label sets that were pushed before.
    pub(super) pushed: KnownLabels,
    /// Label sets of names that were ingested before.
    pub(super) ingested: KnownLabels,
    tracer: Arc<Tracer>,
    /// The series of the usual case, so that it need not be looked up.
    ingest: RouteSeries,
    push: RouteSeries,
}

/// What the listener goes by.
pub(super) struct Listening {
    pub limits: Limits,
    pub protocols: Protocols,
}

/// Who may send how much and for how long, and what of it is told further.
pub(super) struct Admission {
    pub auth: Option<Auth>,
    pub rate_limit: Option<Arc<RateLimit>>,
    pub forward_headers: ForwardHeaders,
    /// The longest that handing on a file of debug information may take.
    pub debug_info_upload_timeout: Duration,
}

/// A head that says enough to refuse the request.
pub(super) struct Unacceptable {
    pub reason: &'static str,
    pub reply: Reply,
}

/// Counts among the open ones until it is dropped.
struct OpenConnection(IntGauge);

impl OpenConnection {
    fn new(open: IntGauge) -> Self {
        open.inc();
        Self(open)
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The series of POST on one route.
struct RouteSeries {
    inflight: IntGauge,
    received: Histogram,
    sent: Histogram,
    /// Of requests answered with 200.
    took: Histogram,
}

impl RouteSeries {
    fn new(metrics: &ReceiveHttpMetrics, route: Route) -> Self {
        let request = RequestLabels { method: "POST", route: route.0 };
        let (received, sent) = metrics.bytes(request);
        Self { inflight: metrics.inflight(request), received, sent, took: metrics.duration(request, 200) }
    }
}

impl ReceiveApp {
    pub(super) fn new(
        component: &ComponentLabels,
        forward_to: Fanout,
        listening: Listening,
        admission: Admission,
        resends: Arc<Resends>,
        metrics: ReceiveHttpMetrics,
        tracer: Arc<Tracer>,
    ) -> Self {
        let Listening { limits, protocols } = listening;
        metrics.connections_limit.set(limits.connections.map_or(0, |limit| i64::try_from(limit).unwrap_or(i64::MAX)));
        metrics.grpc_streams_limit.set(protocols.http2.streams.into());
        let (ingest, push) = (RouteSeries::new(&metrics, INGEST), RouteSeries::new(&metrics, PUSH));
        Self {
            component_id: component.to_string().into(),
            forward_to,
            limits,
            protocols,
            admission,
            resends,
            metrics,
            unreadable_names: LogLimit::default(),
            pushed: KnownLabels::default(),
            ingested: KnownLabels::default(),
            tracer,
            ingest,
            push,
        }
    }

    /// Those of profiles alone.
    fn series(&self, route: Route) -> Option<&RouteSeries> {
        match route {
            PUSH => Some(&self.push),
            INGEST => Some(&self.ingest),
            _ => None,
        }
    }

    /// Counts a refusal and says it to the log, where it does not flood.
    pub(super) fn count_refusal(&self, reason: &'static str, error: &dyn std::fmt::Display) {
        self.metrics.refused(reason);
        tracing::debug!(component_id = %self.component_id, reason, err = %error, "request refused");
    }
}

impl ReceiveApp {
    fn decide(&self, head: &Head) -> Result<Route, Box<Reply>> {
        if let Some(auth) = self.admission.auth.as_ref().filter(|auth| !auth.lets_in(&head.headers)) {
            let message = "the request must name someone who may send: a user and a password, or a token";
            self.count_refusal("unauthenticated", &message);
            let reply = refusal(head, Code::Unauthenticated, StatusCode::UNAUTHORIZED, message);
            return Err(reply.with(header::WWW_AUTHENTICATE, auth.challenge()).into());
        }
        let route = match head.path.as_str() {
            ingest::PATH => INGEST,
            push::PATH => PUSH,
            path => match debug_info_route::route(path) {
                Some(route) => route,
                None => {
                    self.count_refusal("not_found", &path);
                    let text = format!("{path:?} is not served here; POST {} and {} are\n", ingest::PATH, push::PATH);
                    return Err(Reply::text(StatusCode::NOT_FOUND, text).into());
                }
            },
        };
        if head.method != Method::POST {
            self.count_refusal("method", &head.method);
            let text = format!("{} takes POST only\n", head.path);
            let allow = HeaderValue::from_static("POST");
            return Err(Reply::text(StatusCode::METHOD_NOT_ALLOWED, text).with(header::ALLOW, allow).into());
        }
        let checked = match route {
            INGEST => ingest_route::check(head),
            UPLOAD => Ok(()),
            _ => push_route::check(head),
        };
        checked.map_err(|unacceptable| {
            let Unacceptable { reason, reply } = *unacceptable;
            self.count_refusal(reason, &reply.status);
            Box::new(reply)
        })?;
        let admitted = self.admission.rate_limit.as_ref().map_or(Ok(()), |limit| limit.admit_tenant(&head.headers));
        admitted.map(|()| route).map_err(|wait| self.too_many(head, wait).into())
    }

    /// Whether series of these labels may come now; else what their sender is told.
    pub(super) fn admit_series<'a>(
        &self,
        head: &Head,
        labels: impl Iterator<Item = &'a Labels>,
    ) -> Result<(), Box<Reply>> {
        let admitted = self.admission.rate_limit.as_ref().map_or(Ok(()), |limit| limit.admit_series(labels));
        admitted.map_err(|wait| self.too_many(head, wait).into())
    }

    fn too_many(&self, head: &Head, wait: Duration) -> Reply {
        let message = "more requests than rate_limit allows; send again later";
        self.count_refusal("rate_limit", &message);
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let reply = refusal(head, Code::ResourceExhausted, StatusCode::TOO_MANY_REQUESTS, message);
        reply.with(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)))
    }

    /// Sends what came in a request to every receiver.
    pub(super) async fn deliver(&self, batch: Batch) -> Delivery {
        self.resends.deliver(batch, &self.forward_to, &self.metrics).await
    }

    /// The origin of everything in a request.
    pub(super) fn origin(&self, head: &Head, span: &Span, memory: Share) -> Arc<Origin> {
        let forwarded = self.admission.forward_headers.of(&head.headers);
        Arc::new(Origin { arrived: SystemTime::now(), trace: span.trace().clone(), forwarded, memory })
    }

    /// The span of a request that is not handled.
    fn record_refusal(&self, head: &Head, reply: &Reply) {
        let profiles = [INGEST, PUSH].into_iter().find(|route| route.0 == head.path);
        let route = profiles.or_else(|| debug_info_route::route(&head.path));
        let name = route.map_or_else(|| method_label(&head.method), |route| route.0);
        let mut span = self.tracer.receive(name, &head.headers, head.arrived);
        span.record(|span| self.describe(span, head, route, reply));
    }

    fn describe(&self, span: &mut FinishedSpan, head: &Head, route: Option<Route>, reply: &Reply) {
        span.set("flamegate.component_id", &*self.component_id);
        span.set("http.request.method", method_label(&head.method));
        span.set("network.protocol.version", if head.http2 { "2" } else { "1.1" });
        if let Some(Route(route)) = route {
            span.set("http.route", route);
        }
        span.set("http.response.status_code", reply.status.as_u16());
        let grpc = reply.trailers.as_ref().and_then(|trailers| trailers.get("grpc-status")?.to_str().ok());
        if let Some(status) = grpc {
            span.set("rpc.response.status_code", status);
        }
        if reply.status.is_server_error() && span.status == SpanStatus::Unset {
            span.fail("");
        }
    }
}

impl App for ReceiveApp {
    fn route(&self, head: &Head) -> Result<Route, Box<Reply>> {
        self.decide(head).inspect_err(|reply| self.record_refusal(head, reply))
    }

    fn handle(self: Arc<Self>, route: Route, request: Request) -> BoxFuture<'static, Reply> {
        async move {
            let head = request.head.clone();
            let mut span = self.tracer.receive(route.0, &head.headers, head.arrived);
            span.record(|span| span.set("http.request.body.size", request.body.len()));
            let reply = match route {
                PUSH => push_route::handle(&self, request, &mut span).await,
                INGEST => ingest_route::handle(&self, request, &mut span).await,
                _ => Box::pin(debug_info_route::handle(&self, route, request, &mut span)).await,
            };
            span.record(|span| self.describe(span, &head, Some(route), &reply));
            reply
        }
        .boxed()
    }

    fn is_streamed(&self, route: Route) -> bool {
        route == UPLOAD
    }

    fn handle_streamed(self: Arc<Self>, route: Route, head: Arc<Head>, body: BodyStream) -> BoxFuture<'static, Reply> {
        async move {
            let mut span = self.tracer.receive(route.0, &head.headers, head.arrived);
            let reply = debug_info_route::upload(&self, &head, body, &mut span).await;
            span.record(|span| self.describe(span, &head, Some(route), &reply));
            reply
        }
        .boxed()
    }

    fn refuse(&self, route: Route, head: &Head, refusal: &Refusal) -> Reply {
        let reply = match route {
            INGEST | UPLOAD => Reply::text(refusal.status(), format!("{refusal}\n")),
            _ => push_route::refuse(head, refusal),
        };
        // Work that goes on has its span already.
        if !matches!(refusal, Refusal::Unanswered(_)) {
            self.record_refusal(head, &reply);
        }
        if *refusal == Refusal::Busy { come_again(reply) } else { reply }
    }

    fn refused(&self, refusal: &Refusal) {
        let reason = match refusal {
            Refusal::TooLarge { .. } => "too_large",
            Refusal::Busy => "busy",
            Refusal::Slow(_) => "slow",
            Refusal::Broken(_) => "broken",
            Refusal::Unanswered(_) => "unanswered",
        };
        self.count_refusal(reason, refusal);
    }

    fn patience(&self, route: Route, head: &Head) -> Option<Duration> {
        match route {
            INGEST | UPLOAD => None,
            _ => push_route::patience(head),
        }
    }

    fn answered(&self, answered: &Answered) {
        let took = answered.took.as_secs_f64();
        let (request_bytes, response_bytes) = (answered.request_bytes as f64, answered.response_bytes as f64);
        self.metrics.inflight_bytes.set(i64::try_from(self.limits.memory.used()).unwrap_or(i64::MAX));
        let usual = answered.route.filter(|_| answered.status == StatusCode::OK);
        if let Some(series) = usual.and_then(|route| self.series(route)) {
            series.received.observe(request_bytes);
            series.sent.observe(response_bytes);
            series.took.observe(took);
            return;
        }
        let request = RequestLabels { method: method_label(&answered.method), route: route_label(answered.route) };
        let (received, sent) = self.metrics.bytes(request);
        received.observe(request_bytes);
        sent.observe(response_bytes);
        self.metrics.duration(request, answered.status.as_u16()).observe(took);
    }

    fn inflight(&self, route: Route, change: i64) {
        match self.series(route) {
            Some(series) => series.inflight.inc_by(change),
            None => self.metrics.inflight(RequestLabels { method: "POST", route: route.0 }).inc_by(change),
        };
    }

    fn connected(&self) -> Box<dyn Any + Send> {
        Box::new(OpenConnection::new(self.metrics.connections.clone()))
    }

    fn limits(&self) -> Limits {
        self.limits.clone()
    }

    fn protocols(&self) -> Protocols {
        self.protocols.clone()
    }
}

/// A refusal in the words of the API that was asked.
fn refusal(head: &Head, code: Code, status: StatusCode, message: &str) -> Reply {
    if head.path == push::PATH || debug_info_route::route(&head.path).is_some_and(|route| route != UPLOAD) {
        return push_route::refuse_with(head, code, status, message);
    }
    Reply::text(status, format!("{message}\n"))
}

/// Notes what became of the profiles of a request. What is the sender's fault is no error of ours.
pub(super) fn record_delivery(span: &mut Span, profiles: usize, error: Option<&PushError>) {
    span.record(|span| {
        span.set("flamegate.profiles", profiles);
        if let Some(error) = error.filter(|error| error.fault != Fault::Sender) {
            span.fail(&error.cause);
        }
    });
}

/// A reply to a sender for whose body no memory was left.
pub(super) fn come_again(reply: Reply) -> Reply {
    reply.with(header::RETRY_AFTER, HeaderValue::from_static(BUSY_RETRY_AFTER))
}

/// A reply with the backend's wish for a pause.
pub(super) fn with_retry_after(reply: Reply, error: &PushError) -> Reply {
    match error.retry {
        Retry::Later(Some(pause)) => reply.with(header::RETRY_AFTER, HeaderValue::from(pause.as_secs().max(1))),
        Retry::Later(None) | Retry::Never => reply,
    }
}

fn method_label(method: &Method) -> &'static str {
    METHODS.into_iter().find(|known| *known == method.as_str()).unwrap_or(OTHER)
}

fn route_label(route: Option<Route>) -> &'static str {
    route.map_or(OTHER, |route| route.0)
}
