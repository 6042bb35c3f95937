//! Debug information of programs, on to the first endpoint downstream.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;

use super::app::ReceiveApp;
use super::push_route;
use crate::ingest::{Head, Reply, Request, Route};
use crate::pipeline::{BodyStream, Code, DebugInfo, DebugInfoCall, DebugInfoUpload, PushError};
use crate::telemetry::LogLimit;
use crate::telemetry::traces::Span;
use crate::wire::connect::Codec;
use crate::wire::debug_info;

pub(super) const SHOULD_INITIATE_UPLOAD: Route = Route(debug_info::SHOULD_INITIATE_UPLOAD);
pub(super) const UPLOAD_FINISHED: Route = Route(debug_info::UPLOAD_FINISHED);
pub(super) const UPLOAD: Route = Route(debug_info::UPLOAD);

const NO_ENDPOINT: &str = "no downstream endpoints available";
/// Of lines about calls that fail.
static FAILURES: LogLimit = LogLimit::new();

/// The route of a path.
pub(super) fn route(path: &str) -> Option<Route> {
    match path {
        debug_info::SHOULD_INITIATE_UPLOAD => Some(SHOULD_INITIATE_UPLOAD),
        debug_info::UPLOAD_FINISHED => Some(UPLOAD_FINISHED),
        path => debug_info::build_id(path).map(|_| UPLOAD),
    }
}

/// Hands a call on.
pub(super) async fn handle(app: &ReceiveApp, route: Route, request: Request, span: &mut Span) -> Reply {
    let Request { head, body, mut memory } = request;
    let call = push_route::call_or_connect(&head);
    let message = match push_route::message(app, call, &head, body, &mut memory).await {
        Ok(message) => message,
        Err(refused) => return refused.reply(app, call),
    };
    let downstream = async {
        let Some(endpoint) = app.forward_to.debug_info() else { return Err(unavailable()) };
        let headers = app.admission.forward_headers.of(&head.headers);
        let (json, trace) = (call.codec == Codec::Json, span.trace().clone());
        endpoint.call(DebugInfoCall { path: route.0, json, message, headers, trace }).await
    };
    let answered: Result<Bytes, PushError> = downstream.await;
    record(app, route, span, answered.as_ref().err());
    match answered {
        Ok(message) => push_route::reply(call.success_with(&message)),
        Err(error) => push_route::failure(call, error.code, error.status, &error.cause),
    }
}

/// Hands a file on while it comes.
pub(super) async fn upload(app: &ReceiveApp, head: &Head, body: BodyStream, span: &mut Span) -> Reply {
    let uploaded = match (app.forward_to.debug_info(), debug_info::build_id(&head.path)) {
        (Some(endpoint), Some(build_id)) => {
            let headers = app.admission.forward_headers.of(&head.headers);
            let upload = DebugInfoUpload { build_id, body, headers, trace: span.trace().clone() };
            bounded(app.admission.debug_info_upload_timeout, endpoint, upload).await
        }
        _ => Err(unavailable()),
    };
    record(app, UPLOAD, span, uploaded.as_ref().err());
    match uploaded {
        Ok(()) => Reply::text(StatusCode::OK, ""),
        Err(error) if error == unavailable() => Reply::text(error.status, format!("{error}\n")),
        Err(error) => Reply::text(StatusCode::BAD_GATEWAY, format!("downstream upload: {error}\n")),
    }
}

async fn bounded(limit: Duration, endpoint: &dyn DebugInfo, upload: DebugInfoUpload) -> Result<(), PushError> {
    let late = || PushError::internal(format!("not done within the receiver's debug_info_upload_timeout ({limit:?})"));
    tokio::time::timeout(limit, endpoint.upload(upload)).await.unwrap_or_else(|_| Err(late()))
}

fn unavailable() -> PushError {
    PushError { status: StatusCode::SERVICE_UNAVAILABLE, code: Code::Unavailable, ..PushError::internal(NO_ENDPOINT) }
}

/// Notes what became of a call downstream.
fn record(app: &ReceiveApp, route: Route, span: &mut Span, error: Option<&PushError>) {
    let method = match route {
        SHOULD_INITIATE_UPLOAD => "ShouldInitiateUpload",
        UPLOAD_FINISHED => "UploadFinished",
        _ => "Upload",
    };
    app.metrics.debug_info_call(method, error.is_none());
    let Some(error) = error else { return };
    span.record(|span| span.fail(&error.cause));
    if let Some(line) = FAILURES.admit() {
        let left_out = line.left_out;
        tracing::warn!(component_id = %app.component_id, method, err = %error, left_out, "debug information was not handed on");
    }
}
