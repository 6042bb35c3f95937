//! `POST /ingest`: the older API, which most SDKs use.

use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use profiler_core::labels::Labels;

use super::app::{ReceiveApp, Unacceptable, come_again, record_delivery, with_retry_after};
use super::resends::Delivery;
use crate::ingest::{DecompressError, ENCODINGS, Encoding, Head, Reply, Request, decompress};
use crate::pipeline::{Batch, Body, IngestBody, Outcome, Profile, PushError};
use crate::telemetry::traces::Span;
use crate::wire::ingest::{self, UnreadableName};
use crate::wire::ingest_name::NameError;

/// Looks at the head alone.
pub(super) fn check(head: &Head) -> Result<(), Box<Unacceptable>> {
    match encoding(head) {
        Ok(_) => Ok(()),
        Err(other) => {
            let text = format!("Content-Encoding {other:?} is not understood; these are: {ENCODINGS}\n");
            let reply = Reply::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, text);
            let reply = reply.with(header::ACCEPT_ENCODING, HeaderValue::from_static(ENCODINGS));
            Err(Unacceptable { reason: "encoding", reply }.into())
        }
    }
}

/// Takes a request that was received whole.
pub(super) async fn handle(app: &ReceiveApp, request: Request, span: &mut Span) -> Reply {
    let Request { head, mut body, mut memory } = request;
    let labels = match labels(app, &head.query) {
        Ok(labels) => labels,
        Err(error) => {
            app.count_refusal("malformed", &error);
            return Reply::text(StatusCode::BAD_REQUEST, format!("{error}\n"));
        }
    };
    if let Err(reply) = app.admit_series(&head, std::iter::once(&labels)) {
        return *reply;
    }
    let packed = encoding(&head).unwrap_or_default();
    if let Some(encoding) = packed.filter(|encoding| *encoding != Encoding::Gzip || !goes_as_it_came(&head)) {
        body = match decompress(encoding, &body, app.limits.max_body_size, &mut memory).await {
            Ok(decompressed) => decompressed,
            Err(error) => return undecodable(app, &error),
        };
    }
    let content_types = head.headers.get_all(header::CONTENT_TYPE).iter().cloned().collect();
    let body = Body::Ingest(Arc::new(IngestBody { query: head.query.clone(), content_types, bytes: body }));
    let origin = app.origin(&head, span, memory);
    let profile = Profile::new(labels, body, origin);
    answer(app.deliver(Batch { profiles: vec![profile] }).await, span)
}

/// The labels that `name` says. As in the reference a name that cannot be read is told to the log and leaves none.
fn labels(app: &ReceiveApp, query: &str) -> Result<Labels, UnreadableName> {
    match ingest::labels(query, &app.ingested) {
        Err(unreadable) if !matches!(unreadable.error, NameError::Labels(_)) => {
            if let Some(line) = app.unreadable_names.admit() {
                let UnreadableName { name, error } = unreadable;
                tracing::warn!(component_id = %app.component_id, name, err = %error, left_out = line.left_out, "the name of a profile cannot be read");
            }
            Ok(Labels::empty())
        }
        labels => labels,
    }
}

/// Servers ignore Content-Encoding on this route, and read a bare pprof or JFR gzipped or not: it is passed on as it
/// came. In any other format they would read compressed bytes as text, and Zstandard they read nowhere.
fn goes_as_it_came(head: &Head) -> bool {
    let content_type = head.headers.get(header::CONTENT_TYPE).map_or(&b""[..], |value| value.as_bytes());
    !ingest::is_form(content_type) && matches!(ingest::format(&head.query).as_deref(), Some(b"pprof" | b"jfr"))
}

/// How the body is compressed; the error is an encoding that is not understood.
fn encoding(head: &Head) -> Result<Option<Encoding>, String> {
    Encoding::named(head.headers.get(header::CONTENT_ENCODING).map_or(&b""[..], |value| value.as_bytes()))
}

fn undecodable(app: &ReceiveApp, error: &DecompressError) -> Reply {
    let (reason, status) = match error {
        DecompressError::TooLarge(_) => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
        DecompressError::Busy => ("busy", StatusCode::SERVICE_UNAVAILABLE),
        DecompressError::Damaged(..) => ("malformed", StatusCode::BAD_REQUEST),
    };
    app.count_refusal(reason, error);
    let reply = Reply::text(status, format!("{error}\n"));
    if *error == DecompressError::Busy { come_again(reply) } else { reply }
}

fn answer(delivery: Delivery, span: &mut Span) -> Reply {
    let Delivery { outcomes, receipt } = delivery;
    let worst = PushError::worst(outcomes.iter().filter_map(Outcome::worst));
    record_delivery(span, 1, worst);
    match worst {
        None => Reply { receipt, ..Reply::text(StatusCode::OK, "") },
        Some(error) => with_retry_after(Reply::text(error.status, format!("{error}\n")), error),
    }
}
