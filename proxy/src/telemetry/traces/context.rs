//! Which span of which trace: W3C Trace Context, level 1.

use std::num::{NonZeroU64, NonZeroU128};

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that carries it.
pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header that Jaeger's clients carry it in
/// ([Jaeger, Propagation Format](https://www.jaegertracing.io/sdk-migration/#propagation-format)).
pub(super) const UBER_TRACE_ID: HeaderName = HeaderName::from_static("uber-trace-id");

/// A span among all spans of all processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    /// The trace.
    pub trace_id: NonZeroU128,
    /// The span.
    pub span_id: NonZeroU64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl SpanContext {
    /// The first span of a trace whose sampling is not decided yet.
    pub(super) fn new_trace() -> Self {
        let trace_id = NonZeroU128::new(fastrand::u128(..)).unwrap_or(NonZeroU128::MIN);
        Self { trace_id, span_id: new_span_id(), sampled: false }
    }

    /// Another span of the same trace.
    pub(super) fn new_span(self) -> Self {
        Self { span_id: new_span_id(), ..self }
    }

    /// What the sender of a request says; `None` where it says nothing that can be understood, or more than one thing.
    pub fn from_headers(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(TRACEPARENT).iter();
        let (only, None) = (values.next()?, values.next()) else { return None };
        Self::parse(only.to_str().ok()?)
    }

    /// The value of `traceparent`.
    pub fn traceparent(self) -> Option<HeaderValue> {
        let Self { trace_id, span_id, sampled } = self;
        HeaderValue::try_from(format!("00-{trace_id:032x}-{span_id:016x}-{:02x}", u8::from(sampled))).ok()
    }

    /// The value of `uber-trace-id`. The parent is not said any more: a zero stands there.
    pub(super) fn uber_trace_id(self) -> Option<HeaderValue> {
        let Self { trace_id, span_id, sampled } = self;
        HeaderValue::try_from(format!("{trace_id:032x}:{span_id:016x}:0:{}", u8::from(sampled))).ok()
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let version = hexadecimal(parts.next()?, 2)?;
        let trace_id = NonZeroU128::new(hexadecimal(parts.next()?, 32)?)?;
        let span_id = NonZeroU64::new(u64::try_from(hexadecimal(parts.next()?, 16)?).ok()?)?;
        let flags = hexadecimal(parts.next()?, 2)?;
        // Versions to come may say more behind the flags; 255 is forbidden.
        let complete = match version {
            0 => parts.next().is_none(),
            other => other != 0xff,
        };
        complete.then_some(Self { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

fn new_span_id() -> NonZeroU64 {
    NonZeroU64::new(fastrand::u64(..)).unwrap_or(NonZeroU64::MIN)
}

/// So many digits; capital letters are none.
fn hexadecimal(text: &str, digits: usize) -> Option<u128> {
    let well_formed = text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    well_formed.then(|| u128::from_str_radix(text, 16).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_as_it_is_written() {
        for (text, sampled) in [(GOOD.to_owned(), true), (GOOD.replace("-01", "-00"), false)] {
            let read = SpanContext::parse(&text).unwrap();
            assert_eq!((read.sampled, read.traceparent().unwrap()), (sampled, text.as_str().try_into().unwrap()));
        }
        let uber = SpanContext::parse(GOOD).unwrap().uber_trace_id().unwrap();
        assert_eq!(uber, "4bf92f3577b34da6a3ce929d0e0e4736:00f067aa0ba902b7:0:1");
        // Flags that are not known yet are not passed on.
        let flags = SpanContext::parse(&GOOD.replace("-01", "-ff")).unwrap();
        assert_eq!(flags.traceparent().unwrap(), GOOD);
        let later = SpanContext::parse(&(GOOD.replacen("00", "cc", 1) + "-what-the-future-will-be-like")).unwrap();
        assert_eq!(later.traceparent().unwrap(), GOOD);
    }

    #[test]
    fn what_is_no_traceparent_is_nobodys() {
        let zero_trace = "00-00000000000000000000000000000000-00f067aa0ba902b7-01";
        let zero_span = "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01";
        let bad = [
            "",
            "00",
            zero_trace,
            zero_span,
            &GOOD.replacen("00", "ff", 1),
            &GOOD.to_uppercase(),
            &GOOD.replace("-01", "-1"),
            &GOOD.replace("-01", "-+1"),
            &GOOD.replace("-01", ""),
            &format!("{GOOD}-"),
            &format!("{GOOD}-extra"),
            &GOOD.replacen("00", "0", 1),
        ];
        for text in bad {
            assert_eq!(SpanContext::parse(text), None, "{text}");
        }
        let mut headers = HeaderMap::new();
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert!(SpanContext::from_headers(&headers).is_some());
        headers.append(TRACEPARENT, HeaderValue::from_static(GOOD));
        assert_eq!(SpanContext::from_headers(&headers), None, "two of them");
    }
}
