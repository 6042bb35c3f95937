//! What a queue keeps of a request: its calls, in the form that `docs/queue-format.md` describes.

use bytes::{BufMut, Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue};
use prost::Message;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::upstream::{Api, Call};

/// The first byte of a record.
const VERSION: u8 = 1;
/// Fields of the messages below.
const CALL: u32 = 1;
const BODY: u32 = 7;

/// A call, and what is counted of it.
#[derive(Debug, Clone)]
pub(super) struct QueuedCall {
    pub(super) call: Call,
    pub(super) profiles: u32,
    /// Bytes of the profiles, as received.
    pub(super) profile_bytes: u64,
}

/// What a record holds.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) calls: Vec<QueuedCall>,
    /// Empty, or the `traceparent` of the request.
    pub(super) trace: HeaderMap,
}

/// Why a record cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("the record is of a version that is not known here")]
    Version,
    #[error("the record cannot be read: {0}")]
    Message(#[from] prost::DecodeError),
    #[error("the record cannot be read: {0}")]
    Header(#[from] http::Error),
    #[error("the record is for an API that is not known here")]
    Api,
}

#[derive(Clone, PartialEq, Message)]
struct RequestMessage {
    #[prost(message, repeated, tag = "1")]
    calls: Vec<CallMessage>,
    #[prost(bytes = "bytes", tag = "2")]
    traceparent: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct CallMessage {
    #[prost(uint32, tag = "1")]
    api: u32,
    #[prost(string, optional, tag = "2")]
    query: Option<String>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    content_types: Vec<Bytes>,
    #[prost(message, repeated, tag = "4")]
    headers: Vec<HeaderMessage>,
    #[prost(uint32, tag = "5")]
    profiles: u32,
    #[prost(uint64, tag = "6")]
    profile_bytes: u64,
    #[prost(bytes = "bytes", tag = "7")]
    body: Bytes,
    #[prost(fixed64, tag = "8")]
    hash_key: u64,
}

#[derive(Clone, PartialEq, Message)]
struct HeaderMessage {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// The record of these calls, in pieces: bodies are not copied.
pub(super) fn encode<'a>(
    calls: impl IntoIterator<Item = &'a QueuedCall>,
    traceparent: Option<&HeaderValue>,
) -> Vec<Bytes> {
    let mut head = BytesMut::new();
    head.put_u8(VERSION);
    let mut pieces = Vec::new();
    for call in calls {
        let about = about(call).encode_to_vec();
        let body = &call.call.body;
        encode_key(CALL, WireType::LengthDelimited, &mut head);
        let body_field = key_len(BODY) as u64 + encoded_len_varint(body.len()) as u64 + body.len();
        encode_varint(about.len() as u64 + body_field, &mut head);
        head.put_slice(&about);
        encode_key(BODY, WireType::LengthDelimited, &mut head);
        encode_varint(body.len(), &mut head);
        pieces.push(head.split().freeze());
        pieces.extend(body.pieces().cloned());
    }
    let traceparent = traceparent.map_or_else(Bytes::new, |value| Bytes::copy_from_slice(value.as_bytes()));
    head.put_slice(&RequestMessage { calls: Vec::new(), traceparent }.encode_to_vec());
    pieces.push(head.freeze());
    pieces
}

/// All of a call but its body.
fn about(QueuedCall { call, profiles, profile_bytes }: &QueuedCall) -> CallMessage {
    let header = |(name, value): (&HeaderName, &HeaderValue)| HeaderMessage {
        name: name.to_string(),
        value: Bytes::copy_from_slice(value.as_bytes()),
    };
    CallMessage {
        api: match call.api {
            Api::Push => 0,
            Api::Ingest => 1,
        },
        query: call.query.clone(),
        content_types: call.content_types.iter().map(|value| Bytes::copy_from_slice(value.as_bytes())).collect(),
        headers: call.headers.iter().map(header).collect(),
        profiles: *profiles,
        profile_bytes: *profile_bytes,
        body: Bytes::new(),
        hash_key: call.hash_key,
    }
}

/// What is in a record; bodies stay slices of it.
pub(super) fn decode(record: &Bytes) -> Result<Request, Unreadable> {
    if record.first() != Some(&VERSION) {
        return Err(Unreadable::Version);
    }
    let request = RequestMessage::decode(record.slice(1..))?;
    let calls = request.calls.into_iter().map(read_call).collect::<Result<_, _>>()?;
    let mut trace = HeaderMap::new();
    if !request.traceparent.is_empty() {
        trace.insert("traceparent", value(request.traceparent)?);
    }
    Ok(Request { calls, trace })
}

fn read_call(message: CallMessage) -> Result<QueuedCall, Unreadable> {
    let api = match message.api {
        0 => Api::Push,
        1 => Api::Ingest,
        _ => return Err(Unreadable::Api),
    };
    let mut headers = HeaderMap::new();
    for header in message.headers {
        let name = HeaderName::try_from(header.name).map_err(http::Error::from)?;
        headers.append(name, value(header.value)?);
    }
    let call = Call {
        api,
        query: message.query,
        content_types: message.content_types.into_iter().map(value).collect::<Result<_, _>>()?,
        headers,
        body: message.body.into(),
        hash_key: message.hash_key,
    };
    Ok(QueuedCall { call, profiles: message.profiles, profile_bytes: message.profile_bytes })
}

fn value(bytes: Bytes) -> Result<HeaderValue, Unreadable> {
    Ok(HeaderValue::from_maybe_shared(bytes).map_err(http::Error::from)?)
}
