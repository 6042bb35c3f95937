//! `Push` as the server reads it: Connect, unary, `application/proto`.

use std::borrow::Cow;

use http::{HeaderMap, StatusCode};
use prost::Message;

use super::labels::check_series;
use super::received::{Api, Decoded, Received};
use super::refusal::{Code, Refusal};
use super::{Limits, Request, check_time};
use crate::gzip::{GzipError, decompress_if_gzip, is_gzip};
use crate::pprof;
use crate::push_api::{LabelPair, PushRequest};

/// Reads a request.
///
/// # Errors
/// What the protocol and the server's validation refuse.
pub(super) fn read(request: &Request, limits: &Limits) -> Result<Vec<Received>, Refusal> {
    check_headers(&request.headers)?;
    let message = PushRequest::decode(&*message_bytes(request, limits)?)
        .map_err(|error| invalid(format!("unmarshal message: {error}")))?;
    let mut received = Vec::with_capacity(message.series.len());
    for series in message.series {
        let mut profiles = Vec::with_capacity(series.samples.len());
        for sample in series.samples {
            let profile =
                pprof::decode(&sample.raw_profile, limits.profile_bytes).map_err(|error| invalid(error.to_string()))?;
            if profile.time_nanos > 0 {
                check_time(profile.time_nanos).map_err(invalid)?;
            }
            let decoded = Decoded::from_pprof(&profile, sample.raw_profile);
            profiles.push(Decoded { id: sample.id, ..decoded });
        }
        if profiles.is_empty() {
            continue;
        }
        let pair = |label: LabelPair| (label.name, label.value);
        let labels: Vec<_> = series.labels.into_iter().map(pair).collect();
        check_series(&labels).map_err(|error| invalid(error.to_string()))?;
        received.push(Received {
            api: Api::Push,
            path: request.path.clone(),
            query: request.query.clone(),
            headers: request.headers.clone(),
            labels: labels.into_iter().collect(),
            body: request.body.clone(),
            profiles,
        });
    }
    if received.is_empty() {
        return Err(invalid("no profiles received"));
    }
    Ok(received)
}

/// Whether the answer is compressed: as the server, also for a sender that only compresses its request.
pub(super) fn answers_gzip(headers: &HeaderMap) -> bool {
    match headers.get(http::header::ACCEPT_ENCODING) {
        Some(accepted) => {
            accepted.to_str().is_ok_and(|accepted| accepted.split(',').any(|encoding| encoding.trim() == "gzip"))
        }
        None => encoding(headers) == "gzip",
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = text(headers, http::header::CONTENT_TYPE.as_str());
    if content_type != "application/proto" {
        let message = format!("content type {content_type:?} is not application/proto");
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        return Err(Refusal { status, code: Code::Unknown, message });
    }
    let version = text(headers, "connect-protocol-version");
    if !version.is_empty() && version != "1" {
        let message = format!("connect-protocol-version must be \"1\": got {version:?}");
        return Err(invalid(message));
    }
    // At most ten digits, says the protocol.
    let timeout = text(headers, "connect-timeout-ms");
    let digits = timeout.bytes().all(|byte| byte.is_ascii_digit());
    if timeout.len() > 10 || !digits {
        return Err(invalid(format!("parse timeout: {timeout:?}")));
    }
    Ok(())
}

fn message_bytes<'r>(request: &'r Request, limits: &Limits) -> Result<Cow<'r, [u8]>, Refusal> {
    let body = &request.body;
    match encoding(&request.headers) {
        "" | "identity" => Ok(Cow::Borrowed(body)),
        // No body, no gzip: such is the protocol's empty message.
        "gzip" if body.is_empty() => Ok(Cow::Borrowed(body)),
        "gzip" if !is_gzip(body) => Err(invalid("decompress: gzip: invalid header")),
        "gzip" => decompress_if_gzip(body, limits.body_bytes).map_err(|error| match error {
            GzipError::TooLarge { .. } => Refusal::new(Code::ResourceExhausted, format!("message size: {error}")),
            GzipError::Damaged(_) => invalid(format!("decompress: {error}")),
        }),
        other => {
            let message = format!("unknown compression {other:?}: supported encodings are gzip");
            Err(Refusal::new(Code::Unimplemented, message))
        }
    }
}

fn encoding(headers: &HeaderMap) -> &str {
    text(headers, http::header::CONTENT_ENCODING.as_str())
}

/// A value that is no ASCII is as wrong as the text given for it.
fn text<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap_or("(not ASCII)"))
}

fn invalid(message: impl Into<String>) -> Refusal {
    Refusal::new(Code::InvalidArgument, message)
}
