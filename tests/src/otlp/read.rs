//! What a request must be, and the spans in it. Errors are what is wrong.

use std::collections::BTreeMap;

use http::{HeaderMap, Method, Version, request};
use prost::Message;

use super::message::{self, ExportTraceServiceRequest, KeyValue, Value};
use super::{Span, Via};
use crate::gzip;

const HTTP_PATH: &str = "/v1/traces";
const GRPC_PATH: &str = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
/// Bytes of a message.
const MAX_MESSAGE: usize = 16 << 20;

/// How a request came, by its path.
pub(super) fn via(path: &str) -> Option<Via> {
    match path {
        HTTP_PATH => Some(Via::Http),
        GRPC_PATH => Some(Via::Grpc),
        _ => None,
    }
}

/// The spans of a request.
pub(super) fn spans(via: Via, head: &request::Parts, body: &[u8]) -> Result<Vec<Span>, String> {
    if head.method != Method::POST {
        return Err(format!("the method {}", head.method));
    }
    let message = match via {
        Via::Http => from_http(&head.headers, body),
        Via::Grpc if head.version != Version::HTTP_2 => return Err(format!("gRPC over {:?}", head.version)),
        Via::Grpc => from_grpc(&head.headers, body),
    }?;
    let request = ExportTraceServiceRequest::decode(&*message).map_err(|error| error.to_string())?;
    let mut spans = Vec::new();
    for of_resource in request.resource_spans {
        let resource = attributes(&of_resource.resource.ok_or("spans of no resource")?.attributes)?;
        for name in ["service.name", "service.version"] {
            if resource.get(name).is_none_or(String::is_empty) {
                return Err(format!("a resource without {name}: {resource:?}"));
            }
        }
        for of_scope in of_resource.scope_spans {
            let scope = of_scope.scope.ok_or("spans of no scope")?;
            if scope.name.is_empty() {
                return Err("a scope without a name".to_owned());
            }
            for span in of_scope.spans {
                spans.push(checked(&span).map_err(|error| format!("{error}: {span:?}"))?);
            }
        }
    }
    if spans.is_empty() { Err("no spans at all".to_owned()) } else { Ok(spans) }
}

fn from_http(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, String> {
    expect(headers, "content-type", Some("application/x-protobuf"))?;
    match text(headers, "content-encoding") {
        None => plain(body),
        Some("gzip") => unpacked(body),
        Some(other) => Err(format!("content-encoding: {other}")),
    }
}

fn from_grpc(headers: &HeaderMap, body: &[u8]) -> Result<Vec<u8>, String> {
    expect(headers, "content-type", Some("application/grpc"))?;
    expect(headers, "te", Some("trailers"))?;
    let timeout = text(headers, "grpc-timeout").ok_or("no grpc-timeout")?;
    let (digits, unit) = timeout.split_at(timeout.len().saturating_sub(1));
    if !(1..=8).contains(&digits.len()) || digits.parse::<u32>().is_err() || !"HMSmun".contains(unit) {
        return Err(format!("grpc-timeout: {timeout}"));
    }
    let Some((&[flags, a, b, c, d], message)) = body.split_first_chunk::<5>() else {
        return Err("a body without a message".to_owned());
    };
    if u32::from_be_bytes([a, b, c, d]) as usize != message.len() {
        return Err("a message of another length than it says".to_owned());
    }
    match (flags, text(headers, "grpc-encoding")) {
        (0, None) => plain(message),
        (1, Some("gzip")) => unpacked(message),
        other => Err(format!("flags and grpc-encoding: {other:?}")),
    }
}

fn plain(message: &[u8]) -> Result<Vec<u8>, String> {
    if gzip::is_gzip(message) { Err("gzip of which no header tells".to_owned()) } else { Ok(message.to_vec()) }
}

fn unpacked(message: &[u8]) -> Result<Vec<u8>, String> {
    if !gzip::is_gzip(message) {
        return Err("no gzip, although a header says so".to_owned());
    }
    Ok(gzip::decompress_if_gzip(message, MAX_MESSAGE).map_err(|error| error.to_string())?.into_owned())
}

fn checked(span: &message::Span) -> Result<Span, String> {
    let id = |bytes: &[u8], length: usize, what: &str| {
        if bytes.len() != length || bytes.iter().all(|byte| *byte == 0) {
            return Err(format!("not {length} bytes of {what}"));
        }
        Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    };
    let parent = if span.parent_span_id.is_empty() { Ok(String::new()) } else { id(&span.parent_span_id, 8, "parent") };
    if span.name.is_empty() {
        return Err("no name".to_owned());
    }
    if !(1..=5).contains(&span.kind) {
        return Err("no such kind".to_owned());
    }
    if span.start_time_unix_nano == 0 {
        return Err("no start".to_owned());
    }
    let error = match &span.status {
        None => None,
        Some(status) if status.code == 2 => Some(status.message.clone()),
        Some(status) if status.message.is_empty() && (0..2).contains(&status.code) => None,
        Some(_) => return Err("no such status".to_owned()),
    };
    Ok(Span {
        trace_id: id(&span.trace_id, 16, "trace")?,
        span_id: id(&span.span_id, 8, "span")?,
        parent: parent?,
        flags: span.flags,
        name: span.name.clone(),
        kind: span.kind,
        took: span.end_time_unix_nano.checked_sub(span.start_time_unix_nano).ok_or("an end before the start")?,
        attributes: attributes(&span.attributes)?,
        error,
    })
}

fn attributes(pairs: &[KeyValue]) -> Result<BTreeMap<String, String>, String> {
    let mut attributes = BTreeMap::new();
    for KeyValue { key, value } in pairs {
        let value = match value.as_ref().and_then(|value| value.value.as_ref()) {
            Some(Value::Text(text)) => text.clone(),
            Some(Value::Bool(bool)) => bool.to_string(),
            Some(Value::Integer(number)) => number.to_string(),
            Some(Value::Double(number)) => number.to_string(),
            None => return Err(format!("attribute {key} without a value")),
        };
        if key.is_empty() || attributes.insert(key.clone(), value).is_some() {
            return Err(format!("attribute {key:?} has no name, or is there twice"));
        }
    }
    Ok(attributes)
}

fn expect(headers: &HeaderMap, name: &str, expected: Option<&str>) -> Result<(), String> {
    match text(headers, name) {
        found if found == expected => Ok(()),
        found => Err(format!("{name}: {found:?}")),
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}
