//! What write does with a batch.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use futures_util::stream::{self, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use profiler_core::labels::Labels;
use tokio::time::Instant;

use super::labels;
use crate::pipeline::{Batch, Body, Outcome, Profile, ProfileOutcome, PushError, Stage};
use crate::telemetry::metrics::{EndpointMetrics, WriteMetrics};
use crate::upstream::{Api, Call, Endpoint};
use crate::wire::{ingest, push};

/// Profiles of one batch that are sent side by side: enough to hide the way to the backend, not enough to flood it.
const SIDE_BY_SIDE: usize = 8;

pub(super) struct WriteStage {
    pub component: Arc<str>,
    pub external_labels: BTreeMap<String, String>,
    pub targets: Vec<Target>,
    pub metrics: WriteMetrics,
}

pub(super) struct Target {
    pub endpoint: Endpoint,
    pub metrics: EndpointMetrics,
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
        let (request, api) = match self.request(profile) {
            Ok(request) => request,
            Err(error) => {
                tracing::warn!(component_id = %self.component, series = %profile.labels, err = %error, "profile refused");
                return ProfileOutcome { error: Some(error), taken: Vec::new() };
            }
        };
        let outcome = match self.targets.as_slice() {
            [] => ProfileOutcome::default(),
            [only] => only.send(request, &profile.body).await,
            several => {
                let sending = several.iter().map(|target| target.send(request.clone(), &profile.body));
                join(join_all(sending).await)
            }
        };
        self.metrics.total.of(api).observe(began.elapsed().as_secs_f64());
        if let Some(error) = &outcome.error {
            tracing::warn!(component_id = %self.component, series = %profile.labels, err = %error, "profile not delivered");
        }
        outcome
    }

    fn request(&self, profile: &Profile) -> Result<(Call, Api), PushError> {
        labels::validate(&profile.labels).map_err(|error| PushError::sender(error.to_string()))?;
        let too_large = |error: profiler_core::labels::LabelError| PushError::sender(error.to_string());
        Ok(match &profile.body {
            Body::Pprof(samples) => {
                let labels = labels::for_push(&profile.labels, &self.external_labels).map_err(too_large)?;
                (push_call(push::encode(&labels, samples)), Api::Push)
            }
            Body::Ingest(received) => {
                let labels = labels::for_ingest(&profile.labels, &self.external_labels).map_err(too_large)?;
                (ingest_call(received, &labels), Api::Ingest)
            }
        })
    }
}

impl Target {
    async fn send(&self, call: Call, body: &Body) -> ProfileOutcome {
        let (api, metrics) = (call.api, &self.metrics);
        let began = Instant::now();
        let settled = self.endpoint.call(call, |attempt| {
            metrics.downstream.of(api).observe(attempt.took.as_secs_f64());
            if attempt.number > 1 {
                metrics.retries.inc();
            }
        });
        let settled = settled.await;
        metrics.endpoint.of(api).observe(began.elapsed().as_secs_f64());
        let (bytes, profiles) = (body.byte_len() as u64, profiles(body));
        let (sent, dropped) =
            ((&metrics.sent_bytes, &metrics.sent_profiles), (&metrics.dropped_bytes, &metrics.dropped_profiles));
        let (counted_bytes, counted_profiles) = if settled.result.is_ok() { sent } else { dropped };
        counted_bytes.add(bytes);
        counted_profiles.add(profiles);
        match settled.result {
            Ok(()) => ProfileOutcome { error: None, taken: vec![self.endpoint.name().clone()] },
            Err(error) => ProfileOutcome { error: Some(error), taken: Vec::new() },
        }
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

fn push_call(segments: Vec<bytes::Bytes>) -> Call {
    let headers = HeaderMap::from_iter([
        (header::CONTENT_TYPE, HeaderValue::from_static("application/proto")),
        (HeaderName::from_static("connect-protocol-version"), HeaderValue::from_static("1")),
    ]);
    Call { api: Api::Push, path: push::PATH, query: None, headers, body: segments.into() }
}

fn ingest_call(received: &crate::pipeline::IngestBody, labels: &Labels) -> Call {
    let mut headers = HeaderMap::new();
    for content_type in &received.content_types {
        headers.append(header::CONTENT_TYPE, content_type.clone());
    }
    let query = Some(ingest::query(&received.query, labels));
    Call { api: Api::Ingest, path: ingest::PATH, query, headers, body: received.bytes.clone().into() }
}

/// What the counters of profiles count.
fn profiles(body: &Body) -> u64 {
    match body {
        Body::Pprof(samples) => samples.len() as u64,
        Body::Ingest(_) => 1,
    }
}
