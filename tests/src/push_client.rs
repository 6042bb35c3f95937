//! A client of the push API in each of its protocols, as an SDK would speak it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::gzip;
use crate::polling::DEADLINE;
use crate::push_api::{PUSH_PATH, PushRequest};

/// How a call is wrapped, and how its message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Connect, protobuf.
    Connect,
    /// Connect, JSON.
    ConnectJson,
    /// gRPC, protobuf.
    Grpc,
    /// gRPC-Web, protobuf.
    GrpcWeb,
}

/// How a push is made.
#[derive(Debug, Clone, Copy)]
pub struct PushClient {
    /// The protocol.
    pub protocol: Protocol,
    /// HTTP/2 with prior knowledge, else HTTP/1.1.
    pub http2: bool,
    /// Whether the message is compressed.
    pub gzip: bool,
}

/// What a push was answered, whatever the protocol.
#[derive(Debug, Clone)]
pub struct PushReply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The HTTP headers.
    pub headers: HeaderMap,
    /// The error, where it is one.
    pub error: Option<PushError>,
}

/// An error of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushError {
    /// The code's name.
    pub code: String,
    /// What happened.
    pub message: String,
}

/// Why there is no answer of the protocol.
#[derive(Debug, thiserror::Error)]
pub enum PushClientError {
    /// URL or headers are not such as HTTP can carry.
    #[error("no such request: {0}")]
    Request(#[from] http::Error),
    /// The message cannot be compressed.
    #[error("compress: {0}")]
    Compress(#[from] std::io::Error),
    /// No connection, or it broke.
    #[error("{0:?}")]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// The answer did not come whole.
    #[error("the answer's body: {0}")]
    Body(#[from] hyper::Error),
    /// No answer in time.
    #[error("no answer within {DEADLINE:?}")]
    Deadline,
    /// Something was answered, but not in the protocol.
    #[error("{status}, {headers:?}, {body:?} is no answer of the protocol: {what}")]
    Protocol {
        /// What is wrong.
        what: String,
        /// The status.
        status: StatusCode,
        /// The headers.
        headers: HeaderMap,
        /// The body.
        body: Bytes,
    },
}

impl PushClient {
    /// Connect over HTTP/1.1, as most SDKs do it.
    pub const CONNECT: Self = Self { protocol: Protocol::Connect, http2: false, gzip: false };

    /// Pushes.
    ///
    /// # Errors
    /// When no answer of the protocol comes; an error of the protocol is an answer.
    pub async fn push(&self, base_url: &str, request: &PushRequest) -> Result<PushReply, PushClientError> {
        let message = match self.protocol {
            Protocol::ConnectJson => to_json(request).to_string().into_bytes(),
            Protocol::Connect | Protocol::Grpc | Protocol::GrpcWeb => request.encode_to_vec(),
        };
        self.send(base_url, &message, &[]).await
    }

    /// Sends these bytes as the message, with further headers.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub async fn send(
        &self,
        base_url: &str,
        message: &[u8],
        headers: &[(&str, &str)],
    ) -> Result<PushReply, PushClientError> {
        let mut request = http::Request::post(format!("{base_url}{PUSH_PATH}"));
        for (name, value) in self.headers().iter().chain(headers) {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(self.body(message)?))?;
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).http2_only(self.http2).build_http();
        let exchange = async {
            let (head, body) = client.request(request).await?.into_parts();
            let body = body.collect().await?;
            let trailers = body.trailers().cloned();
            Ok((head, body.to_bytes(), trailers))
        };
        let (head, body, trailers) = match timeout(DEADLINE, exchange).await {
            Ok(answered) => answered.map_err(|error: PushClientError| error)?,
            Err(_) => return Err(PushClientError::Deadline),
        };
        let (status, headers) = (head.status, head.headers);
        match self.read(status, &headers, &body, trailers) {
            Ok(error) => Ok(PushReply { status, headers, error }),
            Err(what) => Err(PushClientError::Protocol { what, status, headers, body }),
        }
    }

    /// The headers that the protocol wants.
    #[must_use]
    pub fn headers(&self) -> Vec<(&'static str, &'static str)> {
        let content_type = ("content-type", self.content_type());
        let (protocol, encoding) = match self.protocol {
            Protocol::Connect | Protocol::ConnectJson => (("connect-protocol-version", "1"), "content-encoding"),
            Protocol::Grpc => (("te", "trailers"), "grpc-encoding"),
            Protocol::GrpcWeb => (("x-grpc-web", "1"), "grpc-encoding"),
        };
        let gzip = self.gzip.then_some((encoding, "gzip"));
        [content_type, protocol].into_iter().chain(gzip).collect()
    }

    /// The body that carries a message.
    ///
    /// # Errors
    /// None in practice.
    pub fn body(&self, message: &[u8]) -> Result<Bytes, std::io::Error> {
        let packed = if self.gzip { gzip::compress(message)? } else { message.to_vec() };
        if !self.enveloped() {
            return Ok(packed.into());
        }
        let mut body = BytesMut::with_capacity(packed.len() + ENVELOPE);
        body.put_u8(u8::from(self.gzip));
        body.put_u32(u32::try_from(packed.len()).unwrap_or(u32::MAX));
        body.put_slice(&packed);
        Ok(body.freeze())
    }

    fn content_type(&self) -> &'static str {
        match self.protocol {
            Protocol::Connect => "application/proto",
            Protocol::ConnectJson => "application/json",
            Protocol::Grpc => "application/grpc",
            Protocol::GrpcWeb => "application/grpc-web+proto",
        }
    }

    fn enveloped(&self) -> bool {
        matches!(self.protocol, Protocol::Grpc | Protocol::GrpcWeb)
    }

    /// The error in an answer; `Err` where it is no answer of the protocol.
    fn read(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
        trailers: Option<HeaderMap>,
    ) -> Result<Option<PushError>, String> {
        let content_type = text(headers, "content-type").unwrap_or_default();
        if !self.enveloped() {
            let (expected, empty): (_, &[u8]) = match self.protocol {
                Protocol::ConnectJson => ("application/json", b"{}"),
                _ => ("application/proto", b""),
            };
            if status == StatusCode::OK {
                return match content_type == expected && body == empty {
                    true => Ok(None),
                    false => Err(format!("no empty message of {expected}")),
                };
            }
            let error: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
            let field = |name: &str| error.get(name).and_then(Value::as_str).map(str::to_owned);
            let code = field("code").filter(|_| content_type == "application/json").ok_or("no Connect error")?;
            return Ok(Some(PushError { code, message: field("message").unwrap_or_default() }));
        }
        if status != StatusCode::OK || !content_type.starts_with("application/grpc") {
            return Err("neither 200 nor gRPC".to_owned());
        }
        let (message, trailers) = match self.protocol {
            Protocol::GrpcWeb => split_web_trailers(body)?,
            _ => (body.to_vec(), trailers.ok_or("no trailers")?),
        };
        let number: usize =
            text(&trailers, "grpc-status").and_then(|text| text.parse().ok()).ok_or("no grpc-status")?;
        if number == 0 {
            return if message == [0; ENVELOPE] { Ok(None) } else { Err("no empty message".to_owned()) };
        }
        let code = CODES.get(number).ok_or("no such grpc-status")?;
        let message = text(&trailers, "grpc-message").unwrap_or_default();
        Ok(Some(PushError { code: (*code).to_owned(), message: percent_decoded(&message) }))
    }
}

/// Before each message of gRPC: a byte of flags, four of length.
const ENVELOPE: usize = 5;
/// By their numbers.
const CODES: [&str; 17] = [
    "ok",
    "canceled",
    "unknown",
    "invalid_argument",
    "deadline_exceeded",
    "not_found",
    "already_exists",
    "permission_denied",
    "resource_exhausted",
    "failed_precondition",
    "aborted",
    "out_of_range",
    "unimplemented",
    "internal",
    "unavailable",
    "data_loss",
    "unauthenticated",
];

/// The last envelope of gRPC-Web holds the trailers as text.
fn split_web_trailers(body: &[u8]) -> Result<(Vec<u8>, HeaderMap), String> {
    let mut rest = body;
    let mut before = Vec::new();
    while let Some((&[flags, a, b, c, d], after)) = rest.split_first_chunk::<ENVELOPE>() {
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        let (content, after) = after.split_at_checked(length).ok_or("an envelope without its end")?;
        if flags & 0x80 == 0 {
            before.extend_from_slice(rest.get(..ENVELOPE + length).unwrap_or_default());
            rest = after;
            continue;
        }
        let mut trailers = HeaderMap::new();
        for line in String::from_utf8_lossy(content).lines() {
            let (name, value) = line.split_once(':').ok_or("a trailer without a colon")?;
            let name = http::HeaderName::try_from(name).map_err(|error| error.to_string())?;
            trailers.insert(name, value.trim().parse().map_err(|_| "a trailer that is no header")?);
        }
        return if after.is_empty() { Ok((before, trailers)) } else { Err("bytes behind the trailers".to_owned()) };
    }
    Err("no trailers".to_owned())
}

fn to_json(request: &PushRequest) -> Value {
    let series = request.series.iter().map(|series| {
        let labels: Vec<_> = series.labels.iter().map(|l| json!({ "name": l.name, "value": l.value })).collect();
        let samples = series.samples.iter();
        let samples: Vec<_> =
            samples.map(|s| json!({ "rawProfile": STANDARD.encode(&s.raw_profile), "ID": s.id })).collect();
        json!({ "labels": labels, "samples": samples })
    });
    json!({ "series": series.collect::<Vec<_>>() })
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

fn percent_decoded(text: &str) -> String {
    // The same escapes as in a form, where `+` is a space as well.
    let form = text.replace('+', "%2B");
    form_urlencoded::parse(form.as_bytes())
        .next()
        .map(|(key, value)| if value.is_empty() { key.into_owned() } else { format!("{key}={value}") })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_protocol_is_read() {
        let read = |protocol, status: u16, content_type: &str, body: &[u8], trailers: Option<&str>| {
            let headers = HeaderMap::from_iter([(http::header::CONTENT_TYPE, content_type.parse().unwrap())]);
            let trailers = trailers.map(|status| {
                HeaderMap::from_iter([
                    ("grpc-status".parse().unwrap(), status.parse().unwrap()),
                    ("grpc-message".parse().unwrap(), "a%3Db%25+c".parse().unwrap()),
                ])
            });
            let client = PushClient { protocol, http2: false, gzip: false };
            client.read(StatusCode::from_u16(status).unwrap(), &headers, body, trailers)
        };
        let error =
            |code: &str, message: &str| Ok(Some(PushError { code: code.to_owned(), message: message.to_owned() }));
        let json = "application/json";
        assert_eq!(read(Protocol::Connect, 200, "application/proto", b"", None), Ok(None));
        assert!(read(Protocol::Connect, 200, "text/html", b"", None).is_err());
        assert_eq!(read(Protocol::ConnectJson, 200, json, b"{}", None), Ok(None));
        let body = br#"{"code":"aborted","message":"x"}"#;
        assert_eq!(read(Protocol::Connect, 409, json, body, None), error("aborted", "x"));
        assert!(read(Protocol::Connect, 409, "text/plain", b"no", None).is_err());
        let grpc = "application/grpc+proto";
        assert_eq!(read(Protocol::Grpc, 200, grpc, &[0; 5], Some("0")), Ok(None));
        assert!(read(Protocol::Grpc, 200, grpc, b"", Some("0")).is_err());
        assert!(read(Protocol::Grpc, 200, grpc, &[0; 5], None).is_err());
        assert_eq!(read(Protocol::Grpc, 200, grpc, b"", Some("8")), error("resource_exhausted", "a=b%+c"));
        let web = b"\0\0\0\0\0\x80\0\0\0\x10grpc-status: 0\r\n";
        assert_eq!(read(Protocol::GrpcWeb, 200, grpc, web, None), Ok(None));
        assert!(read(Protocol::GrpcWeb, 200, grpc, &web[..12], None).is_err());
    }
}
