//! What relabel does with a batch.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use profiler_core::labels::Labels;
use tokio::time::Instant;

use crate::filters::{FilterError, LabelsFilter, Verdict, VerdictCache};
use crate::pipeline::{Batch, Body, Fanout, Outcome, ProfileOutcome, PushError, Stage};
use crate::telemetry::LogLimit;
use crate::telemetry::metrics::{FanoutMetrics, RelabelMetrics};
use crate::telemetry::traces::{Span, SpanKind, Trace};

pub(super) struct RelabelStage {
    pub filter: Arc<LabelsFilter>,
    pub cache: Arc<VerdictCache>,
    pub forward_to: Fanout,
    pub metrics: RelabelMetrics,
    pub fanout: FanoutMetrics,
    /// Of lines about profiles that cannot be relabelled.
    pub failures: LogLimit,
}

impl Stage for RelabelStage {
    fn push(&self, batch: Batch) -> BoxFuture<'_, Outcome> {
        self.relabel(batch).boxed()
    }
}

impl RelabelStage {
    async fn relabel(&self, batch: Batch) -> Outcome {
        let mut outcome = Outcome::accepted(batch.profiles.len());
        let mut sent = Batch::default();
        // For each profile that is sent on, what will be known of it.
        let mut slots: Vec<&mut ProfileOutcome> = Vec::with_capacity(batch.profiles.len());
        let mut span = span(&batch);
        let (mut dropped, mut failed) = (0usize, 0usize);
        for (mut profile, slot) in batch.profiles.into_iter().zip(&mut outcome.profiles) {
            self.metrics.processed.inc();
            match self.verdict(&profile.labels) {
                Ok(Verdict::Drop(_)) => {
                    self.metrics.dropped.inc();
                    dropped += 1;
                    continue;
                }
                Ok(Verdict::Unchanged) => {}
                Ok(Verdict::Replace(labels)) => profile.labels = labels,
                Err(error) => {
                    if let Some(line) = self.failures.admit() {
                        tracing::error!(component_id = %self.filter.settings().name, series = %profile.labels, err = %error, left_out = line.left_out, "relabelling failed");
                    }
                    failed += 1;
                    slot.error = Some(PushError::internal(format!("relabelling failed: {error}")));
                    continue;
                }
            }
            self.metrics.written.inc();
            sent.profiles.push(profile);
            slots.push(slot);
        }
        span.record(|span| {
            span.set("flamegate.component_id", &*self.filter.settings().name);
            span.set("flamegate.series.kept", sent.profiles.len());
            span.set("flamegate.series.dropped", dropped);
            span.set("flamegate.series.failed", failed);
            if failed > 0 {
                span.fail("relabelling failed");
            }
        });
        drop(span);
        if sent.profiles.is_empty() {
            return outcome;
        }

        let samples: Vec<u64> = sent.profiles.iter().map(|profile| samples(&profile.body)).collect();
        let began = Instant::now();
        let answered = self.forward_to.push(sent).await;
        self.fanout.latency.observe(began.elapsed().as_secs_f64());
        for ((slot, result), samples) in slots.into_iter().zip(answered.profiles).zip(samples) {
            if result.error.is_none() {
                self.fanout.entries.add(samples);
            }
            *slot = result;
        }
        outcome
    }

    fn verdict(&self, labels: &Labels) -> Result<Verdict, FilterError> {
        // The reference's rule: a series without labels is not for rules to judge.
        if labels.is_empty() {
            return Ok(Verdict::Unchanged);
        }
        if let Some(verdict) = self.cache.find(labels) {
            self.metrics.cache_hits.inc();
            return Ok(verdict);
        }
        self.metrics.cache_misses.inc();
        let verdict = self.filter.apply(labels)?;
        let size = self.cache.insert(labels.clone(), verdict.clone());
        self.metrics.cache_size.set(i64::try_from(size).unwrap_or(i64::MAX));
        Ok(verdict)
    }
}

/// Of judging the series, not of sending them on. All profiles of a batch have one origin.
fn span(batch: &Batch) -> Span {
    let trace = batch.profiles.first().map(|profile| &profile.origin.trace);
    trace.unwrap_or(&Trace::default()).child("pyroscope.relabel", SpanKind::Internal)
}

/// What the counter of entries counts: pprof messages, and nothing on `/ingest`, as the reference does.
fn samples(body: &Body) -> u64 {
    match body {
        Body::Pprof(samples) => samples.len() as u64,
        Body::Ingest(_) => 0,
    }
}
