//! The request that is made of a call, with the endpoint's headers and what says whose it is.

use http::{HeaderMap, Method, Request, header};

use super::{Api, Call, Endpoint};
use crate::pipeline::PushError;
use crate::telemetry::traces::Trace;
use crate::upstream::failure::Evidence;
use crate::upstream::{Failure, Segments};
use crate::wire::{ingest, push};

impl Endpoint {
    pub(super) async fn complete_request(&self, call: &Call, trace: &Trace) -> Result<Request<Segments>, Failure> {
        let mut request = self.request(call).map_err(|error| Failure {
            error: PushError::internal(format!("the request cannot be built: {error}")),
            retryable: false,
            evidence: Evidence::Well,
        })?;
        self.prove(request.headers_mut(), trace).await?;
        Ok(request)
    }

    /// Adds what says whose request it is.
    pub(super) async fn prove(&self, headers: &mut HeaderMap, trace: &Trace) -> Result<(), Failure> {
        trace.inject(self.settings.propagation, headers);
        if let Some(credentials) = &self.settings.credentials {
            let value = credentials.header().await.map_err(|error| Failure {
                error: PushError::internal(error.to_string()),
                // A file may be just about to be replaced, and whoever gives tokens may come back.
                retryable: true,
                evidence: Evidence::Well,
            })?;
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(())
    }

    fn request(&self, call: &Call) -> Result<Request<Segments>, http::Error> {
        let mut request = Request::new(call.body.clone());
        *request.method_mut() = Method::POST;
        let (path, headers) = match call.api {
            Api::Push => (push::PATH, &self.push_headers),
            Api::Ingest => (ingest::PATH, &self.ingest_headers),
        };
        *request.uri_mut() = self.base.uri(path, call.query.as_deref())?;
        *request.headers_mut() = with_said(headers, &call.headers);
        if let Some((first, rest)) = call.content_types.split_first() {
            request.headers_mut().insert(header::CONTENT_TYPE, first.clone());
            for further in rest {
                request.headers_mut().append(header::CONTENT_TYPE, further.clone());
            }
        }
        Ok(request)
    }
}

/// An endpoint's headers, with what the sender said in their place.
pub(super) fn with_said(own: &HeaderMap, said: &HeaderMap) -> HeaderMap {
    let mut headers = own.clone();
    for name in said.keys() {
        headers.remove(name);
    }
    for (name, value) in said {
        headers.append(name, value.clone());
    }
    headers
}
