//! `tracing`: which spans of this process are recorded, and where they go.

use std::sync::Arc;

use alloy_syntax::{Arguments, Invalid};
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::component::{Component, Context};
use crate::telemetry::traces::{Consumer, Recorder, Sampler, Tracer, TracerSettings};

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = TracingArguments::validate)]
pub struct TracingArguments {
    /// Fraction of the traces begun here that is kept, from 0 to 1. A sender's traceparent decides for its own trace.
    #[alloy(attr, default = 0.1)]
    sampling_fraction: f64,
    /// Inputs of components that export spans; with none they are dropped.
    #[alloy(attr, optional)]
    write_to: Vec<Consumer>,
    /// Whether backends are sent the traceparent of the attempt that calls them.
    #[alloy(attr, optional)]
    send_traceparent: bool,
    /// Another sampler in the place of the fraction.
    #[alloy(block, optional)]
    sampler: SamplerArguments,
}

/// What may stand in the `sampler` block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(unsupported("jaeger_remote"))]
pub struct SamplerArguments {}

impl TracingArguments {
    fn validate(&self) -> Result<(), Invalid> {
        if self.sampling_fraction.is_nan() {
            return Err(Invalid::attribute("sampling_fraction", "must be a number, such as 0.1 for every tenth trace"));
        }
        Ok(())
    }
}

/// The block.
pub struct TracingBlock {
    tracer: Arc<Tracer>,
    settings: Arc<TracerSettings>,
    /// Outlives this block where another one takes its place.
    recorder: Arc<Recorder>,
    write_to: Vec<Consumer>,
}

impl Component for TracingBlock {
    const NAME: &'static str = "tracing";
    const SUMMARY: &'static str = "Which spans of this process are recorded, and where they go.";
    type Arguments = TracingArguments;

    fn build(arguments: &TracingArguments, context: &Context<'_>, previous: Option<&Self>) -> Result<Self, Invalid> {
        let services = context.services;
        let recorder = match previous {
            // Requests that are under way go on with its queue.
            Some(previous) => previous.recorder.clone(),
            None => Arc::new(Recorder::new(services.metrics.tracing().clone())),
        };
        let settings = TracerSettings {
            sampler: Sampler::of_fraction(arguments.sampling_fraction),
            send_traceparent: arguments.send_traceparent,
            recorder: (!arguments.write_to.is_empty()).then(|| recorder.clone()),
        };
        let (tracer, write_to) = (services.tracer.clone(), arguments.write_to.clone());
        Ok(Self { tracer, settings: Arc::new(settings), recorder, write_to })
    }

    fn activate(&self) {
        self.recorder.send_to(self.write_to.clone());
        self.tracer.install(self.settings.clone());
    }

    fn stop(&self) -> BoxFuture<'_, ()> {
        async {
            if self.tracer.uninstall(&self.settings) {
                self.recorder.stop().await;
            } else {
                // Another block has taken its place: its own exporters may end once they have what is theirs.
                self.recorder.followed().await;
            }
        }
        .boxed()
    }
}
