//! `POST /push.v1.PusherService/Push`: Connect, gRPC and gRPC-Web.

use std::time::Duration;

use http::{HeaderValue, StatusCode, header};

use super::app::{ReceiveApp, Unacceptable, come_again, record_delivery, with_retry_after};
use super::resends::Delivery;
use crate::ingest::{DecompressError, ENCODINGS, Encoding, Head, Refusal, Reply, Request, decompress};
use crate::pipeline::{Batch, Code, Outcome, PushError, Share};
use crate::telemetry::traces::Span;
use crate::wire::connect::{self, Answer, Call, Codec, Protocol};
use crate::wire::push;

/// Looks at the head alone.
pub(super) fn check(head: &Head) -> Result<(), Box<Unacceptable>> {
    let unacceptable = |reason, reply| Box::new(Unacceptable { reason, reply });
    let Some(call) = call(head) else {
        let text = format!("Content-Type must be one of {}\n", connect::ACCEPTED);
        let accepted = HeaderValue::from_static(connect::ACCEPTED);
        let reply = Reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
        let accept_post = header::HeaderName::from_static("accept-post");
        return Err(unacceptable("content_type", reply.with(accept_post, accepted)));
    };
    if call.protocol == Protocol::Grpc && !head.http2 {
        let text = "gRPC needs HTTP/2; over HTTP/1.1 use Connect or gRPC-Web\n";
        return Err(unacceptable("content_type", Reply::text(StatusCode::HTTP_VERSION_NOT_SUPPORTED, text)));
    }
    match compression(call, head) {
        Ok(_) => Ok(()),
        Err(other) => {
            let message = format!("unknown compression {other:?}: supported encodings are {ENCODINGS}");
            Err(unacceptable("encoding", reply(call.failure(Code::Unimplemented, &message))))
        }
    }
}

/// How long the sender waits.
pub(super) fn patience(head: &Head) -> Option<Duration> {
    call(head)?.timeout(&head.headers)
}

/// The words for a refusal of the listener.
pub(super) fn refuse(head: &Head, refusal: &Refusal) -> Reply {
    let code = match refusal {
        Refusal::TooLarge { .. } => Code::ResourceExhausted,
        Refusal::Busy => Code::Unavailable,
        Refusal::Slow(_) | Refusal::Unanswered(_) => Code::DeadlineExceeded,
        Refusal::Broken(_) => Code::InvalidArgument,
    };
    failure(call_or_connect(head), code, refusal.status(), &refusal.to_string())
}

/// The words for a refusal of another kind.
pub(super) fn refuse_with(head: &Head, code: Code, status: StatusCode, message: &str) -> Reply {
    failure(call_or_connect(head), code, status, message)
}

/// Takes a request that was received whole.
pub(super) async fn handle(app: &ReceiveApp, request: Request, span: &mut Span) -> Reply {
    let call = call_or_connect(&request.head);
    let Request { head, body, mut memory } = request;
    let series = match read(app, call, &head, body, &mut memory).await {
        Ok(series) => series,
        Err(refused) => return refused.reply(app, call),
    };
    if let Err(reply) = app.admit_series(&head, series.iter().map(|series| &series.labels)) {
        return *reply;
    }
    let origin = app.origin(&head, span, memory);
    let profiles = series.into_iter().map(|series| series.into_profile(origin.clone())).collect();
    drop(origin);
    let batch = Batch { profiles };
    let count = batch.profiles.iter().map(|profile| profile.body.profile_count()).sum();
    let labels: Vec<_> = batch.profiles.iter().map(|profile| profile.labels.clone()).collect();
    let Delivery { outcomes, receipt } = app.deliver(batch).await;
    let worst = worst(&outcomes, &labels);
    record_delivery(span, count, worst.as_ref());
    match worst {
        None => Reply { receipt, ..reply(call.success()) },
        Some(error) => with_retry_after(failure(call, error.code, error.status, &error.cause), &error),
    }
}

/// What cannot be read.
pub(super) struct Refused {
    reason: &'static str,
    code: Code,
    status: StatusCode,
    message: String,
}

impl Refused {
    fn malformed(message: String) -> Self {
        Self { reason: "malformed", code: Code::InvalidArgument, status: StatusCode::BAD_REQUEST, message }
    }

    pub(super) fn reply(self, app: &ReceiveApp, call: Call) -> Reply {
        app.count_refusal(self.reason, &self.message);
        let reply = failure(call, self.code, self.status, &self.message);
        if self.code == Code::Unavailable { come_again(reply) } else { reply }
    }
}

async fn read(
    app: &ReceiveApp,
    call: Call,
    head: &Head,
    body: bytes::Bytes,
    memory: &mut Share,
) -> Result<Vec<push::Series>, Refused> {
    let message = message(app, call, head, body, memory).await?;
    let series = match call.codec {
        Codec::Proto => push::decode(&message, &app.pushed),
        Codec::Json => push::decode_json(&message),
    };
    series.map_err(|error| Refused::malformed(error.to_string()))
}

/// The message of a call, out of its envelope and unpacked.
pub(super) async fn message(
    app: &ReceiveApp,
    call: Call,
    head: &Head,
    body: bytes::Bytes,
    memory: &mut Share,
) -> Result<bytes::Bytes, Refused> {
    let malformed = Refused::malformed;
    let named = compression(call, head).unwrap_or_default();
    let wrapped = call.unwrap_message(body, named.is_some()).map_err(|error| malformed(error.to_string()))?;
    Ok(match (wrapped.compressed, named) {
        (false, _) => wrapped.message,
        (true, None) => return Err(malformed("the message is compressed, and no header says how".to_owned())),
        (true, Some(_)) if wrapped.message.is_empty() => wrapped.message,
        (true, Some(encoding)) => decompress(encoding, &wrapped.message, app.limits.max_body_size, memory)
            .await
            .map_err(|error| match error {
                DecompressError::TooLarge(_) => Refused {
                    reason: "too_large",
                    code: Code::ResourceExhausted,
                    status: StatusCode::PAYLOAD_TOO_LARGE,
                    message: error.to_string(),
                },
                DecompressError::Busy => Refused {
                    reason: "busy",
                    code: Code::Unavailable,
                    status: StatusCode::SERVICE_UNAVAILABLE,
                    message: error.to_string(),
                },
                DecompressError::Damaged(..) => malformed(error.to_string()),
            })?,
    })
}

/// Which call a head announces; [`check`] has let no other pass.
fn call(head: &Head) -> Option<Call> {
    Call::from_content_type(head.headers.get(header::CONTENT_TYPE)?.to_str().ok()?)
}

pub(super) fn call_or_connect(head: &Head) -> Call {
    call(head).unwrap_or(Call { protocol: Protocol::Connect, codec: Codec::Proto })
}

/// How the message may be compressed; the error is a compression that is not understood.
fn compression(call: Call, head: &Head) -> Result<Option<Encoding>, String> {
    Encoding::named(head.headers.get(call.encoding_header()).map_or(&b""[..], |value| value.as_bytes()))
}

/// The error to answer, with the reference's words for where it happened.
fn worst(outcomes: &[Outcome], labels: &[profiler_core::labels::Labels]) -> Option<PushError> {
    let failed: Vec<PushError> = (outcomes.iter().enumerate())
        .flat_map(|(receiver, outcome)| outcome.profiles.iter().zip(labels).map(move |profile| (receiver, profile)))
        .filter_map(|(receiver, (outcome, labels))| {
            let error = outcome.error.clone()?;
            Some(error.context(format_args!("unable to append series {labels} to appendable {receiver}")))
        })
        .collect();
    PushError::worst(&failed).cloned()
}

pub(super) fn failure(call: Call, code: Code, status: StatusCode, message: &str) -> Reply {
    let mut reply = reply(call.failure(code, message));
    // The status says more than the code does: 413, or a backend's 422.
    if call.protocol == Protocol::Connect {
        reply.status = status;
    }
    reply
}

pub(super) fn reply(answer: Answer) -> Reply {
    let Answer { status, headers, body, trailers } = answer;
    Reply { status, headers, body, trailers, receipt: None }
}
