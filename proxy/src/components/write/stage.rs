//! What write does with a batch.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::by_push;
use super::queue::QueuedTarget;
use super::sent_labels::{IngestName, SentLabels};
use crate::pipeline::{Batch, Body, DebugInfo, Outcome, Profile, ProfileOutcome, PushError, RawSample, Stage, Taken};
use crate::tap::{Point, Position};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{EndpointMetrics, WriteMetrics};
use crate::telemetry::traces::SpanKind;
use crate::upstream::{Api, Call, Endpoint, Segments};
use crate::wire::{ingest, push};

/// Where backends look for the tenant.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");
/// Profiles of one batch that are sent side by side: enough to hide the way to the backend, not enough to flood it.
const SIDE_BY_SIDE: usize = 8;

pub(super) struct WriteStage {
    pub component: Arc<str>,
    pub point: Point,
    pub sent: SentLabels,
    /// Endpoints that are called while the sender waits.
    pub targets: Vec<Target>,
    /// Endpoints with a queue.
    pub queued: Vec<Arc<QueuedTarget>>,
    pub metrics: WriteMetrics,
    /// Of lines about profiles that no endpoint is asked to take.
    pub refusals: LogLimit,
    /// Of lines about labels that are sent otherwise than they are.
    pub renamed: LogLimit,
}

pub(super) struct Target {
    pub endpoint: Endpoint,
    /// Which of all endpoints it is, the same after a reload.
    pub identity: Arc<str>,
    /// Whether what it does not take is the sender's concern.
    pub required: bool,
    /// Its value is the tenant; empty where no label says it.
    pub tenant_label: String,
    /// The labels by whose hash a backend is chosen, if it is: none of them means all.
    pub hash_labels: Option<Vec<String>>,
    pub metrics: EndpointMetrics,
    /// Of lines about profiles that this endpoint did not take.
    pub failures: LogLimit,
}

impl Stage for WriteStage {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        let Some(mut watch) = self.point.watch(&batch, Position::Between) else { return self.take(batch) };
        for (place, profile) in batch.profiles.iter().enumerate() {
            if let Some(labels) = self.sent.as_sent(profile) {
                watch.goes_on(place, &labels);
            }
        }
        self.take(batch).inspect(move |outcome| watch.end(outcome)).boxed()
    }

    fn debug_info(&self) -> Option<&dyn DebugInfo> {
        let queued = self.queued.iter().map(|queued| queued.target());
        self.targets.iter().chain(queued).next().map(|target| &target.endpoint as &dyn DebugInfo)
    }
}

impl WriteStage {
    fn take(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        if self.queued.is_empty() {
            return self.send_all(batch).boxed();
        }
        self.send_and_queue(batch).boxed()
    }

    /// To the endpoints that are called at once.
    pub(super) async fn send_all(&self, batch: Batch) -> Outcome {
        let profiles = match <[Profile; 1]>::try_from(batch.profiles) {
            Ok([only]) => vec![self.write(&only).await],
            Err(several) => {
                let writing = several.into_iter().map(|profile| async move { self.write(&profile).await });
                stream::iter(writing).buffered(SIDE_BY_SIDE).collect().await
            }
        };
        Outcome { profiles }
    }

    async fn write(&self, profile: &Profile) -> ProfileOutcome {
        let began = Instant::now();
        let call = match self.call(profile).await {
            Ok(call) => call,
            Err(error) => return self.refuse(profile, error),
        };
        let api = call.api;
        let outcome = match self.targets.as_slice() {
            [] => ProfileOutcome::default(),
            [only] => only.deliver(call, profile, self).await,
            several => {
                let sending = several.iter().map(|target| target.deliver(call.clone(), profile, self));
                join(join_all(sending).await)
            }
        };
        self.metrics.total.of(api).observe(began.elapsed().as_secs_f64());
        outcome
    }

    /// No endpoint is asked to take it.
    pub(super) fn refuse(&self, profile: &Profile, error: PushError) -> ProfileOutcome {
        if let Some(line) = self.refusals.admit() {
            tracing::warn!(component_id = %self.component, series = %profile.labels, err = %error, left_out = line.left_out, "profile refused");
        }
        ProfileOutcome { error: Some(error), taken: Vec::new() }
    }

    pub(super) async fn call(&self, profile: &Profile) -> Result<Call, PushError> {
        Ok(match &profile.body {
            Body::Pprof(samples) => push_call(&self.sent.for_push(&profile.labels)?, samples, profile),
            Body::Ingest(received) => {
                let name = self.sent.for_ingest(&profile.labels)?;
                if name.told.is_some() {
                    if let Some(pushable) = Box::pin(by_push::pushable(received, &profile.origin.memory)).await? {
                        let labels = self.sent.for_ingest_by_push(&profile.labels, &pushable)?;
                        let sample = RawSample { id: Bytes::new(), profile: pushable.profile };
                        return Ok(push_call(&labels, &[sample], profile));
                    }
                    self.count_renamed(profile, &name);
                }
                let headers = profile.origin.forwarded.clone();
                let query = Some(ingest::query(&received.query, &name.escaped));
                let body = Segments::from(received.bytes.clone()).of(profile.origin.clone());
                let content_types = received.content_types.clone();
                Call { api: Api::Ingest, query, content_types, headers, body, hash_key: 0 }
            }
        })
    }
}

fn push_call(labels: &Bytes, samples: &[RawSample], profile: &Profile) -> Call {
    let body = Segments::from(push::encode(labels, samples)).of(profile.origin.clone());
    let headers = profile.origin.forwarded.clone();
    Call { api: Api::Push, query: None, content_types: Vec::new(), headers, body, hash_key: 0 }
}

impl WriteStage {
    /// A label of this profile cannot be said as it is.
    fn count_renamed(&self, profile: &Profile, name: &IngestName) {
        self.metrics.renamed.inc();
        if name.is_to_be_told()
            && let Some(line) = self.renamed.admit()
        {
            let says = "`,`, `{` and `}` cannot stand in a label's value on /ingest: each is sent as `_`";
            tracing::warn!(component_id = %self.component, series = %profile.labels, left_out = line.left_out, "{says}");
        }
    }
}

impl Target {
    /// Sends it, unless the endpoint has it already.
    async fn deliver(&self, call: Call, profile: &Profile, stage: &WriteStage) -> ProfileOutcome {
        let result = if self.has(profile) { Ok(()) } else { self.send(call, profile, stage).await };
        self.outcome(profile, result)
    }

    /// Whether it took the profile when its sender sent it before.
    pub(super) fn has(&self, profile: &Profile) -> bool {
        profile.taken.as_ref().is_some_and(|before| before.contains(&self.taken(profile)))
    }

    /// What the sender is to hear of it.
    pub(super) fn outcome(&self, profile: &Profile, result: Result<(), PushError>) -> ProfileOutcome {
        match result {
            Ok(()) => ProfileOutcome { error: None, taken: vec![self.taken(profile)] },
            Err(error) => ProfileOutcome { error: self.required.then_some(error), taken: Vec::new() },
        }
    }

    fn taken(&self, profile: &Profile) -> Taken {
        Taken { endpoint: self.identity.clone(), series: profile.labels.clone() }
    }

    async fn send(&self, mut call: Call, profile: &Profile, stage: &WriteStage) -> Result<(), PushError> {
        self.address(&mut call, profile, &stage.sent)?;
        let (api, metrics) = (call.api, &self.metrics);
        let began = Instant::now();
        let mut span = profile.origin.trace.child(api.span_name(), SpanKind::Internal);
        let settled = self.endpoint.call(call, span.trace(), |attempt| {
            metrics.downstream.of(api).observe(attempt.took.as_secs_f64());
            if attempt.number > 1 {
                metrics.retries.inc();
            }
        });
        let settled = settled.await;
        metrics.endpoint.of(api).observe(began.elapsed().as_secs_f64());
        span.record(|span| {
            span.set("flamegate.component_id", &*stage.component);
            span.set("flamegate.endpoint", &**self.endpoint.name());
            span.set("flamegate.profiles", profile.body.profile_count());
            span.set("flamegate.retries", settled.attempts.saturating_sub(1));
            if let Err(error) = &settled.result {
                span.fail(&error.cause);
            }
        });
        drop(span);
        let (bytes, profiles) = (profile.body.byte_len() as u64, profile.body.profile_count() as u64);
        let (sent, dropped) =
            ((&metrics.sent_bytes, &metrics.sent_profiles), (&metrics.dropped_bytes, &metrics.dropped_profiles));
        let (counted_bytes, counted_profiles) = if settled.result.is_ok() { sent } else { dropped };
        counted_bytes.add(bytes);
        counted_profiles.add(profiles);
        settled.result.inspect_err(|error| {
            if let Some(line) = self.failures.admit() {
                let (endpoint, name, series) = (self.endpoint.name(), self.endpoint.alias(), &profile.labels);
                tracing::warn!(%endpoint, name, %series, err = %error, left_out = line.left_out, "profile not delivered");
            }
        })
    }
}

impl Target {
    /// Says whose it is, and by what a backend is chosen.
    pub(super) fn address(&self, call: &mut Call, profile: &Profile, sent: &SentLabels) -> Result<(), PushError> {
        if let Some(names) = &self.hash_labels {
            call.hash_key = sent.hash_key(&profile.labels, names);
        }
        if self.tenant_label.is_empty() {
            return Ok(());
        }
        let Some(tenant) = sent.value(&profile.labels, &self.tenant_label) else { return Ok(()) };
        let value = HeaderValue::try_from(tenant).map_err(|_| {
            let label = &self.tenant_label;
            PushError::sender(format!("the label {label} is to be the tenant, and {tenant:?} can stand in no header"))
        })?;
        call.headers.insert(TENANT, value);
        Ok(())
    }
}

/// What the endpoints did with one profile, together. The texts of all failures are told, in their order.
pub(super) fn join(outcomes: Vec<ProfileOutcome>) -> ProfileOutcome {
    let errors: Vec<&PushError> = outcomes.iter().filter_map(|outcome| outcome.error.as_ref()).collect();
    let error = PushError::worst(errors.iter().copied()).map(|worst| {
        let causes: Vec<&str> = errors.iter().map(|error| error.cause.as_ref()).collect();
        PushError { cause: causes.join("; ").into(), ..worst.clone() }
    });
    ProfileOutcome { error, taken: outcomes.into_iter().flat_map(|outcome| outcome.taken).collect() }
}
