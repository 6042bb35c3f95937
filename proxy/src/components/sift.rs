//! What every component does that judges series by their labels: each profile of a batch goes on, goes on under other
//! labels, or ends here; what goes on is sent at once.

use profiler_core::labels::Labels;
use tokio::time::Instant;

use crate::pipeline::{Batch, Body, Fanout, Outcome, ProfileOutcome, PushError};
use crate::telemetry::metrics::FanoutMetrics;

/// What becomes of a profile.
pub(super) enum Fate {
    /// It goes on as it is.
    Passed,
    /// It goes on with these labels.
    Relabelled(Labels),
    /// It ends here, and that is well.
    Dropped,
    /// It ends here with an error.
    Failed(PushError),
}

/// Who judges.
pub(super) trait Judge: Sync {
    /// What becomes of a profile with these labels.
    fn fate(&self, labels: &Labels) -> impl Future<Output = Fate> + Send;
}

/// Judges each profile, and sends on what is left.
pub(super) async fn sift(batch: Batch, judge: &impl Judge, forward_to: &Fanout, metrics: &FanoutMetrics) -> Outcome {
    let mut outcome = Outcome::accepted(batch.profiles.len());
    let mut sent = Batch::default();
    // For each profile that is sent on, what will be known of it.
    let mut slots: Vec<&mut ProfileOutcome> = Vec::with_capacity(batch.profiles.len());
    for (mut profile, slot) in batch.profiles.into_iter().zip(&mut outcome.profiles) {
        match judge.fate(&profile.labels).await {
            Fate::Passed => {}
            Fate::Relabelled(labels) => profile.labels = labels,
            Fate::Dropped => continue,
            Fate::Failed(error) => {
                slot.error = Some(error);
                continue;
            }
        }
        sent.profiles.push(profile);
        slots.push(slot);
    }
    if sent.profiles.is_empty() {
        return outcome;
    }

    let samples: Vec<u64> = sent.profiles.iter().map(|profile| samples(&profile.body)).collect();
    let began = Instant::now();
    let answered = forward_to.push(sent).await;
    metrics.latency.observe(began.elapsed().as_secs_f64());
    for ((slot, result), samples) in slots.into_iter().zip(answered.profiles).zip(samples) {
        if result.error.is_none() {
            metrics.entries.add(samples);
        }
        *slot = result;
    }
    outcome
}

/// What the counter of entries counts: pprof messages, and nothing on `/ingest`, as the reference does.
fn samples(body: &Body) -> u64 {
    match body {
        Body::Pprof(samples) => samples.len() as u64,
        Body::Ingest(_) => 0,
    }
}
