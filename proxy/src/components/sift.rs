//! What every component does that judges profiles: each of a batch goes on, goes on changed, or ends here; what goes on
//! is sent at once.

use std::sync::Arc;

use tokio::time::Instant;

use crate::pipeline::{Batch, Body, Fanout, Outcome, Profile, PushError};
use crate::tap::Position;
use crate::telemetry::metrics::{ComponentLabels, FanoutMetrics};
use crate::telemetry::traces::{Span, SpanKind, Trace};

/// What becomes of a profile.
pub(super) enum Fate {
    /// It goes on, as it is or as it was changed.
    Passed,
    /// These go on in its place; what becomes of them becomes of it.
    Became(Vec<Profile>),
    /// It ends here, and that is well; holds the reason.
    Dropped(Arc<str>),
    /// It ends here with an error.
    Failed(PushError),
}

/// Who judges.
pub(super) trait Judge: Sync {
    /// The kind of component, which names the span of judging.
    const NAME: &'static str;

    /// What the span says where a profile failed.
    const FAILED: &'static str;

    /// Which component it is.
    fn component(&self) -> &ComponentLabels;

    /// What becomes of a profile; changes it where it is to be changed.
    fn fate(&self, profile: &mut Profile) -> impl Future<Output = Fate> + Send;
}

/// Judges each profile, and sends on what is left. Who looks at the component is told when all is done.
pub(super) async fn sift<J: Judge>(batch: Batch, judge: &J, forward_to: &Fanout, metrics: &FanoutMetrics) -> Outcome {
    let mut watch = forward_to.point().watch(&batch, Position::Between);
    let mut outcome = Outcome::accepted(batch.profiles.len());
    let mut sent = Batch::default();
    // For each profile that is sent on, the place of that which it came from.
    let mut places: Vec<usize> = Vec::with_capacity(batch.profiles.len());
    let mut span = span(&batch, J::NAME);
    let (mut dropped, mut failed) = (0_usize, 0_usize);
    for (place, (mut profile, known)) in batch.profiles.into_iter().zip(&mut outcome.profiles).enumerate() {
        let before = sent.profiles.len();
        match judge.fate(&mut profile).await {
            Fate::Passed => sent.profiles.push(profile),
            Fate::Became(profiles) => sent.profiles.extend(profiles),
            Fate::Dropped(reason) => {
                dropped += 1;
                if let Some(watch) = &mut watch {
                    watch.dropped(place, reason);
                }
            }
            Fate::Failed(error) => {
                failed += 1;
                known.error = Some(error);
            }
        }
        places.resize(sent.profiles.len(), place);
        // Those that one becomes differ in few labels: the first stands for all.
        if let (Some(watch), Some(goes_on)) = (&mut watch, sent.profiles.get(before)) {
            watch.goes_on(place, &goes_on.labels);
        }
    }
    span.record(|span| {
        span.set("flamegate.component_id", judge.component().to_string().as_str());
        span.set("flamegate.series.kept", sent.profiles.len());
        span.set("flamegate.series.dropped", dropped);
        span.set("flamegate.series.failed", failed);
        if failed > 0 {
            span.fail(J::FAILED);
        }
    });
    drop(span);
    if !sent.profiles.is_empty() {
        send(sent, &places, &mut outcome, forward_to, metrics).await;
    }
    if let Some(watch) = watch {
        watch.end(&outcome);
    }
    outcome
}

/// Sends profiles on, and notes what came of each at the place of that which it came from.
async fn send(sent: Batch, places: &[usize], outcome: &mut Outcome, forward_to: &Fanout, metrics: &FanoutMetrics) {
    let samples: Vec<u64> = sent.profiles.iter().map(|profile| samples(&profile.body)).collect();
    let began = Instant::now();
    let answered = forward_to.push(sent).await;
    metrics.latency.observe(began.elapsed().as_secs_f64());
    for ((place, result), samples) in places.iter().zip(answered.profiles).zip(samples) {
        if result.error.is_none() {
            metrics.entries.add(samples);
        }
        if let Some(known) = outcome.profiles.get_mut(*place) {
            known.join(result);
        }
    }
}

/// Of judging the series, not of sending them on. All profiles of a batch have one origin.
fn span(batch: &Batch, name: &'static str) -> Span {
    let trace = batch.profiles.first().map(|profile| &profile.origin.trace);
    trace.unwrap_or(&Trace::default()).child(name, SpanKind::Internal)
}

/// What the counter of entries counts: pprof messages, and nothing on `/ingest`, as the reference does.
fn samples(body: &Body) -> u64 {
    match body {
        Body::Pprof(samples) => samples.len() as u64,
        Body::Ingest(_) => 0,
    }
}
