//! Debug information, to the endpoint's own API for it.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, StatusCode, header};

use super::request::with_said;
use super::{Api, Endpoint, Way};
use crate::pipeline::{Code, DebugInfo, DebugInfoCall, DebugInfoUpload, Fault, PushError, Retry};
use crate::upstream::balancer::Pick;
use crate::upstream::client::{Answer, ClientError};
use crate::upstream::{Client, Failure, Segments};
use crate::wire::debug_info::upload_path;

impl DebugInfo for Endpoint {
    fn call(&self, call: DebugInfoCall) -> BoxFuture<'_, Result<Bytes, PushError>> {
        async move {
            let limit = self.settings.remote_timeout;
            let called = tokio::time::timeout(limit, self.call_debug_info(call)).await;
            called.unwrap_or_else(|_| Err(Failure::timeout(limit).error))
        }
        .boxed()
    }

    fn upload(&self, upload: DebugInfoUpload) -> BoxFuture<'_, Result<(), PushError>> {
        async move {
            let limit = self.settings.debug_info_upload_timeout;
            let uploaded = tokio::time::timeout(limit, self.upload_debug_info(upload)).await;
            uploaded.unwrap_or_else(|_| Err(late(limit)))
        }
        .boxed()
    }
}

impl Endpoint {
    async fn call_debug_info(&self, call: DebugInfoCall) -> Result<Bytes, PushError> {
        let DebugInfoCall { path, json, message, headers, trace } = call;
        let content_type = if json { "application/json" } else { "application/proto" };
        let mut request = self.request_to(path, Segments::from(message))?;
        *request.headers_mut() = with_said(&self.push_headers, &headers);
        request.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        self.prove(request.headers_mut(), &trace).await.map_err(|failure| failure.error)?;
        let server = self.server().await?;
        let answer = server.settle(server.client().send(request).await)?;
        let is_message = answer.headers.get(header::CONTENT_TYPE).is_some_and(|value| value == content_type);
        match Failure::of(Api::Push, &answer, false) {
            _ if answer.status == StatusCode::OK && is_message => Ok(answer.body),
            Some(failure) => Err(failure.error),
            None => Err(failed(StatusCode::BAD_GATEWAY, Code::Unknown, format!("no answer of {content_type}"))),
        }
    }

    async fn upload_debug_info(&self, upload: DebugInfoUpload) -> Result<(), PushError> {
        let DebugInfoUpload { build_id, body, headers, trace } = upload;
        let mut request = self.request_to(&upload_path(&build_id), body)?;
        *request.headers_mut() = with_said(&self.ingest_headers, &headers);
        self.prove(request.headers_mut(), &trace).await.map_err(|failure| failure.error)?;
        let server = self.server().await?;
        let answer = server.settle(server.client().send_streamed(request).await)?;
        if answer.status == StatusCode::OK {
            return Ok(());
        }
        Err(failed(answer.status, Code::Unknown, format!("upload: HTTP {}", answer.status.as_u16())))
    }

    fn request_to<B>(&self, path: &str, body: B) -> Result<Request<B>, PushError> {
        let uri = self.base.beneath(path);
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() =
            uri.map_err(|error| PushError::internal(format!("the request cannot be built: {error}")))?;
        Ok(request)
    }

    async fn server(&self) -> Result<Server<'_>, PushError> {
        Ok(match &self.way {
            Way::Direct(client) => Server::Only(client),
            // What belongs together may reach several of them: they share what they store.
            Way::Balanced(balancer) => {
                Server::Picked(self.pick(balancer, 0, &[]).await.map_err(|failure| failure.error)?)
            }
        })
    }
}

/// Who is asked.
enum Server<'e> {
    Only(&'e Client),
    Picked(Pick),
}

impl Server<'_> {
    fn client(&self) -> &Client {
        match self {
            Self::Only(client) => client,
            Self::Picked(pick) => pick.client(),
        }
    }

    fn settle(&self, sent: Result<Answer, ClientError>) -> Result<Answer, PushError> {
        let sent = sent.map_err(|error| Failure::transport(&error));
        if let Self::Picked(pick) = self {
            pick.settle(sent.as_ref().map(drop));
        }
        sent.map_err(|failure| failure.error)
    }
}

fn late(limit: std::time::Duration) -> PushError {
    let cause = format!("not done within the endpoint's debug_info_upload_timeout ({limit:?})");
    failed(StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded, cause)
}

fn failed(status: StatusCode, code: Code, cause: String) -> PushError {
    PushError { fault: Fault::Backend, retry: Retry::Later(None), status, code, cause: cause.into() }
}
