//! The three protocols of the push API: Connect unary, gRPC and gRPC-Web. How a message is wrapped, how an answer is.

use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::pipeline::Code;

/// How a call is wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// The body is the message.
    Connect,
    /// Enveloped messages, the status in the trailers; needs HTTP/2.
    Grpc,
    /// Enveloped messages, the trailers as the last envelope.
    GrpcWeb,
}

/// How a message is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Protobuf.
    Proto,
    /// Protobuf's JSON.
    Json,
}

/// A call's protocol and codec, from its Content-Type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// How it is wrapped.
    pub protocol: Protocol,
    /// How it is written.
    pub codec: Codec,
}

/// The Content-Types that are understood, for the sender of another one.
pub const ACCEPTED: &str = "application/proto, application/json, application/grpc, application/grpc+proto, \
    application/grpc+json, application/grpc-web, application/grpc-web+proto, application/grpc-web+json";

/// What cannot be unwrapped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// Fewer bytes than the envelope announces, or more than one message.
    #[error("the body is no single gRPC message: {0}")]
    Framing(&'static str),
}

/// The body of a call as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrapped {
    /// The message, perhaps compressed.
    pub message: Bytes,
    /// Whether it is compressed, with what the call's headers name.
    pub compressed: bool,
}

impl Call {
    /// The call that a Content-Type announces.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let (protocol, codec) = match content_type.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/proto" => (Protocol::Connect, Codec::Proto),
            "application/json" => (Protocol::Connect, Codec::Json),
            "application/grpc" | "application/grpc+proto" => (Protocol::Grpc, Codec::Proto),
            "application/grpc+json" => (Protocol::Grpc, Codec::Json),
            "application/grpc-web" | "application/grpc-web+proto" => (Protocol::GrpcWeb, Codec::Proto),
            "application/grpc-web+json" => (Protocol::GrpcWeb, Codec::Json),
            _ => return None,
        };
        Some(Self { protocol, codec })
    }

    /// The header that names the compression of the message.
    pub fn encoding_header(self) -> &'static str {
        match self.protocol {
            Protocol::Connect => "content-encoding",
            Protocol::Grpc | Protocol::GrpcWeb => "grpc-encoding",
        }
    }

    /// How long the sender will wait for an answer, where it says so and is understood.
    pub fn timeout(self, headers: &HeaderMap) -> Option<Duration> {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        match self.protocol {
            Protocol::Connect => text("connect-timeout-ms")?.parse().ok().map(Duration::from_millis),
            Protocol::Grpc | Protocol::GrpcWeb => grpc_timeout(text("grpc-timeout")?),
        }
    }

    /// Takes the message out of its envelope.
    pub fn unwrap_message(self, mut body: Bytes, compression_named: bool) -> Result<Wrapped, EnvelopeError> {
        if self.protocol == Protocol::Connect {
            return Ok(Wrapped { message: body, compressed: compression_named });
        }
        if body.len() < ENVELOPE {
            return Err(EnvelopeError::Framing("it is shorter than the 5 bytes before each message"));
        }
        let flags = body.get_u8();
        let length = body.get_u32() as usize;
        match body.len() {
            shorter if shorter < length => Err(EnvelopeError::Framing("it ends before the message does")),
            longer if longer > length => Err(EnvelopeError::Framing("bytes follow the message")),
            _ => Ok(Wrapped { message: body, compressed: flags & 1 != 0 }),
        }
    }

    /// The answer to a call that went well: an empty message.
    pub fn success(self) -> Answer {
        self.success_with(&Bytes::from_static(match self.codec {
            Codec::Proto => b"",
            Codec::Json => b"{}",
        }))
    }

    /// The answer to a call that went well: a message of the call's codec, of at most 4 GiB.
    pub fn success_with(self, message: &Bytes) -> Answer {
        match self.protocol {
            Protocol::Connect => self.answer(StatusCode::OK, message.clone(), None),
            Protocol::Grpc | Protocol::GrpcWeb => {
                let mut body = BytesMut::with_capacity(ENVELOPE + message.len());
                put_envelope(&mut body, 0, message);
                self.finish(body, &grpc_trailers(0, ""))
            }
        }
    }

    /// The answer to a call that failed.
    pub fn failure(self, code: Code, message: &str) -> Answer {
        match self.protocol {
            Protocol::Connect => {
                let body = serde_json::json!({ "code": code.name(), "message": message }).to_string();
                let json = HeaderValue::from_static("application/json");
                let mut answer = self.answer(code.status(), body.into(), None);
                answer.headers.insert(header::CONTENT_TYPE, json);
                answer
            }
            Protocol::Grpc | Protocol::GrpcWeb => self.finish(BytesMut::new(), &grpc_trailers(code.number(), message)),
        }
    }

    /// The Content-Type of an answer.
    fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match (self.protocol, self.codec) {
            (Protocol::Connect, Codec::Proto) => "application/proto",
            (Protocol::Connect, Codec::Json) => "application/json",
            (Protocol::Grpc, Codec::Proto) => "application/grpc+proto",
            (Protocol::Grpc, Codec::Json) => "application/grpc+json",
            (Protocol::GrpcWeb, Codec::Proto) => "application/grpc-web+proto",
            (Protocol::GrpcWeb, Codec::Json) => "application/grpc-web+json",
        })
    }

    fn finish(self, mut body: BytesMut, trailers: &HeaderMap) -> Answer {
        if self.protocol == Protocol::Grpc {
            return self.answer(StatusCode::OK, body.freeze(), Some(trailers.clone()));
        }
        let mut text = Vec::new();
        for (name, value) in trailers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        put_envelope(&mut body, TRAILERS_FLAG, &text);
        self.answer(StatusCode::OK, body.freeze(), None)
    }

    fn answer(self, status: StatusCode, body: Bytes, trailers: Option<HeaderMap>) -> Answer {
        let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, self.content_type())]);
        Answer { status, headers, body, trailers }
    }
}

/// An answer to a call.
#[derive(Debug, Clone)]
pub struct Answer {
    /// HTTP status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// What follows the body, in gRPC.
    pub trailers: Option<HeaderMap>,
}

/// A Connect error as a backend sends it; `None` where the body is something else.
pub fn error_from_json(body: &[u8]) -> Option<(Code, String)> {
    #[derive(serde::Deserialize)]
    struct ConnectError {
        code: String,
        #[serde(default)]
        message: String,
    }
    let error: ConnectError = serde_json::from_slice(body).ok()?;
    Some((Code::from_name(&error.code)?, error.message))
}

/// The code that Connect's clients give an HTTP status without a Connect error (connectrpc.com/docs/protocol).
pub fn code_from_status(status: StatusCode) -> Code {
    match status.as_u16() {
        400 => Code::Internal,
        401 => Code::Unauthenticated,
        403 => Code::PermissionDenied,
        404 => Code::Unimplemented,
        301 | 302 | 303 | 307 | 308 | 429 | 502 | 503 | 504 => Code::Unavailable,
        _ => Code::Unknown,
    }
}

/// One byte of flags, four of length.
const ENVELOPE: usize = 5;
/// The envelope that holds gRPC-Web's trailers.
const TRAILERS_FLAG: u8 = 0x80;

fn put_envelope(out: &mut BytesMut, flags: u8, message: &[u8]) {
    out.put_u8(flags);
    // Answers are short: a message that a backend's answer had room for, or trailers of some hundred bytes.
    out.put_u32(message.len() as u32);
    out.put_slice(message);
}

fn grpc_trailers(status: u8, message: &str) -> HeaderMap {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const UNSAFE: &AsciiSet = &CONTROLS.add(b'%');
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(u16::from(status)));
    let text = utf8_percent_encode(message, UNSAFE).to_string();
    if let Ok(text) = HeaderValue::from_str(&text)
        && !text.is_empty()
    {
        trailers.insert("grpc-message", text);
    }
    trailers
}

/// `grpc-timeout`: at most eight digits and a unit.
fn grpc_timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let count: u32 = digits.parse().ok().filter(|_| digits.len() <= 8)?;
    let unit = match unit {
        "H" => Duration::from_secs(3600),
        "M" => Duration::from_secs(60),
        "S" => Duration::from_secs(1),
        "m" => Duration::from_millis(1),
        "u" => Duration::from_micros(1),
        "n" => Duration::from_nanos(1),
        _ => return None,
    };
    Some(unit * count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_message_comes_out_of_its_envelope_alone() {
        let call = Call::from_content_type("application/grpc; charset=utf-8").unwrap();
        let unwrap = |bytes: &'static [u8]| call.unwrap_message(Bytes::from_static(bytes), false);
        let message = unwrap(b"\x01\0\0\0\x02ab").unwrap();
        assert_eq!((message.message.as_ref(), message.compressed), (&b"ab"[..], true));
        assert!(unwrap(b"\0\0\0").is_err());
        assert!(unwrap(b"\0\0\0\0\x03ab").is_err());
        assert!(unwrap(b"\0\0\0\0\x01ab").is_err());
        assert!(unwrap(b"\0\xff\xff\xff\xff").is_err());
    }

    #[test]
    fn each_protocol_says_failure_in_its_own_way() {
        let failure = |content_type: &str| {
            Call::from_content_type(content_type).unwrap().failure(Code::ResourceExhausted, "slow\ndown")
        };
        let connect = failure("application/proto");
        assert_eq!(connect.status, 429);
        assert_eq!(error_from_json(&connect.body), Some((Code::ResourceExhausted, "slow\ndown".into())));
        let grpc = failure("application/grpc").trailers.unwrap();
        assert_eq!(
            (&grpc["grpc-status"], &grpc["grpc-message"]),
            (&"8".parse().unwrap(), &"slow%0Adown".parse().unwrap())
        );
        assert_eq!(&failure("application/grpc-web").body[5..], b"grpc-status: 8\r\ngrpc-message: slow%0Adown\r\n");
    }

    #[test]
    fn timeouts_are_read() {
        assert_eq!(grpc_timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(grpc_timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3600)));
        for bad in ["", "m", "1", "123456789S", "1é", "-1S"] {
            assert_eq!(grpc_timeout(bad), None, "{bad}");
        }
    }
}
