//! Spans in OTLP: `opentelemetry.proto.collector.trace.v1`, one direction only, for nobody sends us any.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;

use crate::telemetry::traces::{AttributeValue, FinishedSpan, SpanKind, SpanStatus};

mod message;

use message::{
    AnyValue, ExportTraceServiceRequest, ExportTraceServiceResponse, InstrumentationScope, KeyValue, Resource,
    ResourceSpans, RpcStatus, ScopeSpans, Status, any_value,
};

/// Path of the call in gRPC.
pub const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Content-Type over HTTP.
pub const CONTENT_TYPE: &str = "application/x-protobuf";

/// What became of spans that a server has answered for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Taken {
    /// Spans that it did not take.
    pub rejected: u64,
    /// Why, or what else there is to say.
    pub message: String,
}

/// The request that exports these spans.
pub fn encode(spans: &[FinishedSpan]) -> Bytes {
    let spans = spans.iter().map(span).collect();
    let resource = Resource { attributes: vec![text("service.name", SERVICE), text("service.version", VERSION)] };
    let scope = InstrumentationScope { name: SERVICE.to_owned(), version: VERSION.to_owned() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource), scope_spans }];
    ExportTraceServiceRequest { resource_spans }.encode_to_vec().into()
}

/// What the answer to it says. One that cannot be read says nothing.
pub fn decode_answer(message: &[u8]) -> Taken {
    let answer = ExportTraceServiceResponse::decode(message).unwrap_or_default();
    let partial = answer.partial_success.unwrap_or_default();
    Taken { rejected: u64::try_from(partial.rejected_spans).unwrap_or_default(), message: partial.error_message }
}

/// What an answer that refuses it says: a `google.rpc.Status`.
pub fn decode_error(message: &[u8]) -> String {
    RpcStatus::decode(message).unwrap_or_default().message
}

const SERVICE: &str = "flamegate";
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Bits of `flags` beside those of W3C: that the next one says something, and that the parent is remote.
const REMOTE_KNOWN: u32 = 0x100;
const REMOTE: u32 = 0x200;

fn span(span: &FinishedSpan) -> message::Span {
    let id = |id: std::num::NonZeroU64| Bytes::copy_from_slice(&id.get().to_be_bytes());
    let remote = if span.remote_parent { REMOTE } else { 0 };
    message::Span {
        trace_id: Bytes::copy_from_slice(&span.context.trace_id.get().to_be_bytes()),
        span_id: id(span.context.span_id),
        parent_span_id: span.parent.map(id).unwrap_or_default(),
        flags: u32::from(span.context.sampled) | REMOTE_KNOWN | remote,
        name: span.name.to_owned(),
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        },
        start_time_unix_nano: nanoseconds(span.began),
        end_time_unix_nano: nanoseconds(span.ended),
        attributes: span.attributes.iter().map(|(key, value)| attribute(key, value)).collect(),
        status: match &span.status {
            SpanStatus::Unset => None,
            SpanStatus::Error(why) => Some(Status { message: why.to_string(), code: 2 }),
        },
    }
}

fn attribute(key: &str, value: &AttributeValue) -> KeyValue {
    let value = match value {
        AttributeValue::Text(text) => any_value::Value::Text(text.to_string()),
        AttributeValue::Integer(number) => any_value::Value::Integer(*number),
    };
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, &AttributeValue::from(value))
}

fn nanoseconds(time: SystemTime) -> u64 {
    u64::try_from(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_was_not_taken() {
        assert_eq!(decode_answer(b""), Taken::default());
        let partial = [0x0a, 0x09, 0x08, 0x03, 0x12, 0x05, b'l', b'a', b't', b'e', b'!'];
        assert_eq!(decode_answer(&partial), Taken { rejected: 3, message: "late!".to_owned() });
        // A negative number, and no message at all.
        let negative = [0x0a, 0x0b, 0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(decode_answer(&negative), Taken::default());
        assert_eq!(decode_answer(b"<html>"), Taken::default());
    }
}
