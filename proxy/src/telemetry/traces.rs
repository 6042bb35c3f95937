//! Spans of what this process does: of each request with its relabelling and its attempts to deliver, and of each
//! evaluation of the configuration.
//!
//! The [`Tracer`] begins a trace, where a `tracing` block asks for one and the trace is sampled. What is done for it
//! takes place under a [`Trace`], which travels with the profiles and begins a [`Span`] for each step. Where nothing is
//! recorded neither of them holds memory of its own. A span that has ended waits in the [`Recorder`]'s queue for the
//! next batch, which goes to every [`Consumer`].

mod consumer;
mod context;
mod recorder;
mod sampler;
mod span;
mod tracer;

pub use consumer::{ConsumeSpans, Consumer, SpanBatch};
pub use context::SpanContext;
pub use recorder::Recorder;
pub use sampler::Sampler;
pub use span::{AttributeValue, FinishedSpan, Propagation, Span, SpanKind, SpanStatus, Trace};
pub use tracer::{Tracer, TracerSettings};
