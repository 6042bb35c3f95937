//! Profiles that a component took itself: no sender waits for an answer, and none gave a trace or headers.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use profiler_core::labels::Labels;
use tokio::time::Instant;

use crate::pipeline::{Batch, Body, Fanout, Origin, Profile, PushError, RawSample, Share};
use crate::tap::Position;
use crate::telemetry::metrics::FanoutMetrics;
use crate::telemetry::traces::Trace;

/// A pprof message, gzipped or not, and the memory that it owns.
pub(super) struct OwnProfile {
    pub(super) labels: Labels,
    pub(super) pprof: Bytes,
    pub(super) memory: Share,
}

impl OwnProfile {
    /// Sends it on, as a batch of its own.
    ///
    /// # Errors
    /// The worst that a receiver says.
    pub(super) async fn push(self, forward_to: &Fanout, metrics: &FanoutMetrics) -> Result<(), PushError> {
        let origin = Arc::new(Origin {
            arrived: SystemTime::now(),
            trace: Trace::default(),
            forwarded: http::HeaderMap::new(),
            memory: self.memory,
        });
        let sample = RawSample { id: Bytes::new(), profile: self.pprof };
        let profile = Profile::new(self.labels, Body::Pprof([sample].into()), origin);
        let began = Instant::now();
        let batch = Batch { profiles: vec![profile] };
        let watch = forward_to.point().watch(&batch, Position::Source);
        let outcome = forward_to.push(batch).await;
        metrics.latency.observe(began.elapsed().as_secs_f64());
        if let Some(watch) = watch {
            watch.end(&outcome);
        }
        match outcome.worst() {
            Some(error) => Err(error.clone()),
            None => {
                metrics.entries.inc();
                Ok(())
            }
        }
    }
}
