//! A span while it lasts, and what is left of it.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::SystemTime;

use http::{HeaderMap, HeaderValue};

use super::context::{TRACEPARENT, UBER_TRACE_ID};
use super::{Recorder, SpanContext};

/// Bytes of a text in a span; longer ones are cut.
const MAX_TEXT: usize = 1024;

/// The span under which work is done, or nothing where no trace is. Travels with the work; a clone allocates nothing.
#[derive(Debug, Clone, Default)]
pub struct Trace(Option<Under>);

#[derive(Debug, Clone)]
struct Under {
    context: SpanContext,
    /// Only where the trace is recorded.
    recorder: Option<Arc<Recorder>>,
    send_traceparent: bool,
}

/// In which forms a span is named to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Propagation {
    /// W3C Trace Context.
    pub trace_context: bool,
    /// Jaeger's own.
    pub jaeger: bool,
}

/// A step of the work. It ends when it is dropped.
#[derive(Debug)]
pub struct Span {
    trace: Trace,
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    recorder: Arc<Recorder>,
    /// Its end and status are not known yet.
    span: FinishedSpan,
}

/// A step that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct FinishedSpan {
    /// What it is for others.
    pub context: SpanContext,
    /// The span that it was a part of.
    pub parent: Option<NonZeroU64>,
    /// Whether that is another process' span.
    pub remote_parent: bool,
    /// What was done; one of few names.
    pub name: &'static str,
    /// Which end of a call it was.
    pub kind: SpanKind,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What else is known of it.
    pub attributes: Vec<(&'static str, AttributeValue)>,
    /// How it went.
    pub status: SpanStatus,
}

/// Which end of a call a span was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpanKind {
    /// None: work inside of the process.
    Internal,
    /// The one that was called.
    Server,
    /// The one that called.
    Client,
}

/// How a step went.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum SpanStatus {
    /// Nothing is known against it.
    #[default]
    Unset,
    /// Badly, and why.
    Error(Box<str>),
}

/// What an attribute can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeValue {
    /// A text.
    Text(Box<str>),
    /// A number.
    Integer(i64),
}

impl From<&str> for AttributeValue {
    fn from(text: &str) -> Self {
        Self::Text(capped(text))
    }
}

impl From<usize> for AttributeValue {
    fn from(number: usize) -> Self {
        Self::Integer(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u32> for AttributeValue {
    fn from(number: u32) -> Self {
        Self::Integer(number.into())
    }
}

impl From<u16> for AttributeValue {
    fn from(number: u16) -> Self {
        Self::Integer(number.into())
    }
}

impl Trace {
    /// Begins a part of what is done under this.
    pub fn child(&self, name: &'static str, kind: SpanKind) -> Span {
        match &self.0 {
            Some(Under { context, recorder: Some(recorder), send_traceparent }) => {
                let parent = Some((*context, false));
                Span::recorded(context.new_span(), parent, recorder, *send_traceparent, name, kind, SystemTime::now())
            }
            Some(_) | None => Span { trace: self.clone(), open: None },
        }
    }

    /// Which span it is, in the words of `traceparent`; for what is done later, and perhaps by another process.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        self.0.as_ref()?.context.traceparent()
    }

    /// Names the span to whom a request with these headers is sent, in these forms, or where all are to be sent the
    /// traceparent.
    pub fn inject(&self, forms: Propagation, headers: &mut HeaderMap<HeaderValue>) {
        let Some(Under { context, send_traceparent, .. }) = &self.0 else { return };
        let trace_context = (forms.trace_context || *send_traceparent).then(|| context.traceparent()).flatten();
        let jaeger = forms.jaeger.then(|| context.uber_trace_id()).flatten();
        for (name, value) in [(TRACEPARENT, trace_context), (UBER_TRACE_ID, jaeger)] {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

impl Span {
    /// No trace at all.
    pub(super) fn nothing() -> Self {
        Self { trace: Trace::default(), open: None }
    }

    /// Of a trace that is not recorded here, which others are told all the same.
    pub(super) fn unrecorded(context: SpanContext, send_traceparent: bool) -> Self {
        Self { trace: Trace(Some(Under { context, recorder: None, send_traceparent })), open: None }
    }

    /// `parent` is its context and whether it is another process'.
    pub(super) fn recorded(
        context: SpanContext,
        parent: Option<(SpanContext, bool)>,
        recorder: &Arc<Recorder>,
        send_traceparent: bool,
        name: &'static str,
        kind: SpanKind,
        began: SystemTime,
    ) -> Self {
        let span = FinishedSpan {
            context,
            parent: parent.map(|(context, _)| context.span_id),
            remote_parent: parent.is_some_and(|(_, remote)| remote),
            name,
            kind,
            began,
            ended: began,
            attributes: Vec::new(),
            status: SpanStatus::Unset,
        };
        let under = Under { context, recorder: Some(recorder.clone()), send_traceparent };
        Self { trace: Trace(Some(under)), open: Some(Box::new(Open { recorder: recorder.clone(), span })) }
    }

    /// For what is done as a part of it.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Notes something about it. What is noted is only computed where the span is recorded.
    pub fn record(&mut self, note: impl FnOnce(&mut FinishedSpan)) {
        if let Some(open) = &mut self.open {
            note(&mut open.span);
        }
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        let Open { recorder, mut span } = *open;
        if std::thread::panicking() {
            span.fail("panic");
        }
        // The clock may have been set back meanwhile.
        span.ended = SystemTime::now().max(span.began);
        recorder.record(span);
    }
}

impl FinishedSpan {
    /// Adds an attribute. A text is kept up to 1 KiB.
    pub fn set(&mut self, name: &'static str, value: impl Into<AttributeValue>) {
        self.attributes.push((name, value.into()));
    }

    /// It went wrong, and why; may be empty where an attribute says it.
    pub fn fail(&mut self, why: &str) {
        self.status = SpanStatus::Error(capped(why));
    }
}

fn capped(text: &str) -> Box<str> {
    text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or_default().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_between_characters() {
        let long = "ä".repeat(MAX_TEXT);
        assert_eq!(AttributeValue::from(long.as_str()), AttributeValue::Text("ä".repeat(MAX_TEXT / 2).into()));
        let odd = format!("x{long}");
        let AttributeValue::Text(cut) = AttributeValue::from(odd.as_str()) else { panic!("no text") };
        assert_eq!(cut.len(), MAX_TEXT - 1);
    }
}
