//! What write does with a batch.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt};
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;

use super::sent_labels::SentLabels;
use crate::pipeline::{Batch, Body, Outcome, Profile, ProfileOutcome, PushError, Stage};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{EndpointMetrics, WriteMetrics};
use crate::telemetry::traces::SpanKind;
use crate::upstream::{Api, Call, Endpoint};
use crate::wire::{ingest, push};

/// Where backends look for the tenant.
const TENANT: HeaderName = HeaderName::from_static("x-scope-orgid");
/// Profiles of one batch that are sent side by side: enough to hide the way to the backend, not enough to flood it.
const SIDE_BY_SIDE: usize = 8;

pub(super) struct WriteStage {
    pub component: Arc<str>,
    pub sent: SentLabels,
    pub targets: Vec<Target>,
    pub metrics: WriteMetrics,
    /// Of lines about profiles that no endpoint is asked to take.
    pub refusals: LogLimit,
}

pub(super) struct Target {
    pub endpoint: Endpoint,
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
        async move {
            let profiles = match <[Profile; 1]>::try_from(batch.profiles) {
                Ok([only]) => vec![self.write(&only).await],
                Err(several) => {
                    let writing = several.into_iter().map(|profile| async move { self.write(&profile).await });
                    stream::iter(writing).buffered(SIDE_BY_SIDE).collect().await
                }
            };
            Outcome { profiles }
        }
        .boxed()
    }
}

impl WriteStage {
    async fn write(&self, profile: &Profile) -> ProfileOutcome {
        let began = Instant::now();
        let call = match self.call(profile) {
            Ok(call) => call,
            Err(error) => {
                if let Some(line) = self.refusals.admit() {
                    tracing::warn!(component_id = %self.component, series = %profile.labels, err = %error, left_out = line.left_out, "profile refused");
                }
                return ProfileOutcome { error: Some(error), taken: Vec::new() };
            }
        };
        let api = call.api;
        let outcome = match self.targets.as_slice() {
            [] => ProfileOutcome::default(),
            [only] => only.send(call, profile, self).await,
            several => {
                let sending = several.iter().map(|target| target.send(call.clone(), profile, self));
                join(join_all(sending).await)
            }
        };
        self.metrics.total.of(api).observe(began.elapsed().as_secs_f64());
        outcome
    }

    fn call(&self, profile: &Profile) -> Result<Call, PushError> {
        let headers = profile.origin.forwarded.clone();
        Ok(match &profile.body {
            Body::Pprof(samples) => {
                let labels = self.sent.for_push(&profile.labels)?;
                let body = push::encode(&labels, samples).into();
                Call { api: Api::Push, query: None, content_types: Vec::new(), headers, body, hash_key: 0 }
            }
            Body::Ingest(received) => {
                let name = self.sent.for_ingest(&profile.labels)?;
                let query = Some(ingest::query(&received.query, &name));
                let (content_types, body) = (received.content_types.clone(), received.bytes.clone().into());
                Call { api: Api::Ingest, query, content_types, headers, body, hash_key: 0 }
            }
        })
    }
}

impl Target {
    async fn send(&self, mut call: Call, profile: &Profile, stage: &WriteStage) -> ProfileOutcome {
        if let Err(error) = self.name_tenant(&mut call, profile, &stage.sent) {
            return ProfileOutcome { error: Some(error), taken: Vec::new() };
        }
        if let Some(names) = &self.hash_labels {
            call.hash_key = stage.sent.hash_key(&profile.labels, names);
        }
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
        match settled.result {
            Ok(()) => ProfileOutcome { error: None, taken: vec![self.endpoint.name().clone()] },
            Err(error) => {
                if let Some(line) = self.failures.admit() {
                    let (endpoint, name, series) = (self.endpoint.name(), self.endpoint.alias(), &profile.labels);
                    tracing::warn!(%endpoint, name, %series, err = %error, left_out = line.left_out, "profile not delivered");
                }
                ProfileOutcome { error: Some(error), taken: Vec::new() }
            }
        }
    }
}

impl Target {
    fn name_tenant(&self, call: &mut Call, profile: &Profile, sent: &SentLabels) -> Result<(), PushError> {
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
fn join(outcomes: Vec<ProfileOutcome>) -> ProfileOutcome {
    let errors: Vec<&PushError> = outcomes.iter().filter_map(|outcome| outcome.error.as_ref()).collect();
    let error = PushError::worst(errors.iter().copied()).map(|worst| {
        let causes: Vec<&str> = errors.iter().map(|error| error.cause.as_ref()).collect();
        PushError { cause: causes.join("; ").into(), ..worst.clone() }
    });
    ProfileOutcome { error, taken: outcomes.into_iter().flat_map(|outcome| outcome.taken).collect() }
}
