//! Where traces begin.

use std::sync::Arc;
use std::time::SystemTime;

use arc_swap::ArcSwapOption;
use http::HeaderMap;

use super::{Recorder, Sampler, Span, SpanContext, SpanKind};

/// Begins traces as the `tracing` block says, and none while there is none.
#[derive(Debug, Default)]
pub struct Tracer(ArcSwapOption<TracerSettings>);

/// What the block says.
#[derive(Debug)]
pub struct TracerSettings {
    /// Of the traces that begin here.
    pub sampler: Sampler,
    /// Whether backends are told of the span that calls them.
    pub send_traceparent: bool,
    /// Where spans go, where they go anywhere.
    pub recorder: Option<Arc<Recorder>>,
}

impl Tracer {
    /// Begins a trace.
    pub fn begin(&self, name: &'static str, kind: SpanKind) -> Span {
        match &*self.0.load() {
            None => Span::nothing(),
            Some(settings) => settings.begin(None, name, kind, SystemTime::now()),
        }
    }

    /// Begins the span of a request that arrived at this time, in the sender's trace where it names one. Whether that is
    /// recorded is then the sender's decision.
    pub fn receive(&self, name: &'static str, headers: &HeaderMap, arrived: SystemTime) -> Span {
        match &*self.0.load() {
            None => Span::nothing(),
            Some(settings) => settings.begin(SpanContext::from_headers(headers), name, SpanKind::Server, arrived),
        }
    }

    /// Goes on with what began under a span whose `traceparent` these headers hold, if they do.
    pub fn resume(&self, headers: &HeaderMap, name: &'static str) -> Span {
        match &*self.0.load() {
            None => Span::nothing(),
            Some(settings) => {
                let parent = SpanContext::from_headers(headers);
                settings.begin(parent, name, SpanKind::Internal, SystemTime::now())
            }
        }
    }

    /// Follows these settings from the next trace on.
    pub fn install(&self, settings: Arc<TracerSettings>) {
        self.0.store(Some(settings));
    }

    /// Begins no traces any more, unless other settings have been installed by now; whether it was these.
    pub fn uninstall(&self, settings: &Arc<TracerSettings>) -> bool {
        let current = self.0.compare_and_swap(settings, None);
        current.as_ref().is_some_and(|current| Arc::ptr_eq(current, settings))
    }
}

impl TracerSettings {
    fn begin(&self, remote: Option<SpanContext>, name: &'static str, kind: SpanKind, began: SystemTime) -> Span {
        let context = match remote {
            Some(remote) => remote.new_span(),
            None => {
                let new = SpanContext::new_trace();
                SpanContext { sampled: self.sampler.keeps(new.trace_id), ..new }
            }
        };
        match self.recorder.as_ref().filter(|_| context.sampled) {
            None => Span::unrecorded(context, self.send_traceparent),
            Some(recorder) => {
                let parent = remote.map(|remote| (remote, true));
                Span::recorded(context, parent, recorder, self.send_traceparent, name, kind, began)
            }
        }
    }
}
