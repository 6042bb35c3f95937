//! The request that carries a batch.

use std::io::Write;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header};

use super::super::Segments;
use super::super::endpoint::USER_AGENT;
use crate::wire::otlp;

/// How a request is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// As the body of a POST.
    Http,
    /// As the message of a gRPC call.
    Grpc,
}

/// A server, and what every request to it is like.
#[derive(Debug, Clone)]
pub struct OtlpServer {
    /// Which of the two it speaks.
    pub protocol: Protocol,
    /// Where requests are sent: over HTTP the whole URL, over gRPC one without a path.
    pub url: Uri,
    /// Sent with every request.
    pub headers: HeaderMap,
    /// The longest that an attempt may take.
    pub timeout: Duration,
    /// Whether requests are compressed.
    pub gzip: bool,
}

/// An encoded batch. A clone shares it.
#[derive(Debug, Clone)]
pub(super) struct Body {
    segments: Segments,
    compressed: bool,
}

impl OtlpServer {
    /// What is sent of a message.
    pub(super) fn body(&self, message: Bytes) -> Body {
        let packed = self.gzip.then(|| gzip(&message).ok()).flatten();
        let compressed = packed.is_some();
        let message = packed.unwrap_or(message);
        let segments = match self.protocol {
            Protocol::Http => message.into(),
            Protocol::Grpc => vec![envelope(compressed, message.len()), message].into(),
        };
        Body { segments, compressed }
    }

    pub(super) fn request(&self, body: &Body) -> Result<Request<Segments>, http::Error> {
        let mut request = Request::new(body.segments.clone());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = match self.protocol {
            Protocol::Http => self.url.clone(),
            Protocol::Grpc => {
                let mut parts = self.url.clone().into_parts();
                parts.path_and_query = Some(http::uri::PathAndQuery::from_static(otlp::GRPC_PATH));
                Uri::from_parts(parts)?
            }
        };
        let headers = request.headers_mut();
        *headers = self.headers.clone();
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        let gzip = HeaderValue::from_static("gzip");
        match self.protocol {
            Protocol::Http => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(otlp::CONTENT_TYPE));
                if body.compressed {
                    headers.insert(header::CONTENT_ENCODING, gzip);
                }
            }
            Protocol::Grpc => {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
                headers.insert(header::TE, HeaderValue::from_static("trailers"));
                headers.insert("grpc-timeout", grpc_timeout(self.timeout));
                if body.compressed {
                    headers.insert("grpc-encoding", gzip);
                }
            }
        }
        Ok(request)
    }
}

fn gzip(message: &[u8]) -> std::io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(message.len() / 4), Compression::fast());
    encoder.write_all(message)?;
    encoder.finish().map(Bytes::from)
}

/// Before each message of gRPC: whether it is compressed, and its length.
fn envelope(compressed: bool, length: usize) -> Bytes {
    let mut envelope = BytesMut::with_capacity(5);
    envelope.put_u8(u8::from(compressed));
    // A batch is some hundred kilobytes.
    envelope.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
    envelope.freeze()
}

/// At most eight digits, in milliseconds; what is longer than a day is as good as that.
fn grpc_timeout(timeout: Duration) -> HeaderValue {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let millis = timeout.clamp(Duration::from_millis(1), DAY).as_millis();
    HeaderValue::try_from(format!("{millis}m")).unwrap_or(HeaderValue::from_static("1S"))
}
