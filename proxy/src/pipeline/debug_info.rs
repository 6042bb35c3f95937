//! Debug information of programs, on its way from a profiler through here to a backend that symbolizes.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;

use super::{BodyStream, PushError};
use crate::telemetry::traces::Trace;

/// An endpoint that debug information can be sent to. Nothing is tried again: profilers come again by themselves.
pub trait DebugInfo: Send + Sync {
    /// Makes a call and returns the message that answers it.
    fn call(&self, call: DebugInfoCall) -> BoxFuture<'_, Result<Bytes, PushError>>;

    /// Sends a file on while it comes.
    fn upload(&self, upload: DebugInfoUpload) -> BoxFuture<'_, Result<(), PushError>>;
}

/// A call about a file.
#[derive(Debug)]
pub struct DebugInfoCall {
    /// Path of the procedure.
    pub path: &'static str,
    /// Whether the messages are written in JSON, else in protobuf.
    pub json: bool,
    /// The message, as its sender wrote it.
    pub message: Bytes,
    /// What the sender said in headers, in the place of the endpoint's.
    pub headers: HeaderMap,
    /// The span under which it is made.
    pub trace: Trace,
}

/// A file.
#[derive(Debug)]
pub struct DebugInfoUpload {
    /// The id of the build, escaped for a path.
    pub build_id: String,
    /// The file.
    pub body: BodyStream,
    /// What the sender said in headers, in the place of the endpoint's.
    pub headers: HeaderMap,
    /// The span under which it is made.
    pub trace: Trace,
}
