//! `push.v1.PushRequest`, the message of Pyroscope's push API: from protobuf or JSON into profiles, and back to protobuf.

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use profiler_core::labels::{LabelError, Labels, LabelsBuilder, SERVICE_NAME};
use prost::Message;

use super::service_name;
use crate::pipeline::{Body, Origin, Profile, RawSample};

/// Most series, labels and samples of one request together.
///
/// An entry costs its sender two bytes and us about a hundred; without a bound 64 MiB of them would cost gigabytes.
pub const MAX_ENTRIES: usize = 65_536;

/// Path of the push API behind a backend's base path.
pub const PATH: &str = "/push.v1.PusherService/Push";

/// Why a message is no push request.
#[derive(Debug, thiserror::Error)]
pub enum PushRequestError {
    /// The protobuf message cannot be read.
    #[error("the body is no push.v1.PushRequest: {0}")]
    Proto(#[from] prost::DecodeError),
    /// The JSON cannot be read.
    #[error("the body is no push.v1.PushRequest in JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// More than [`MAX_ENTRIES`].
    #[error("the request holds more than the {MAX_ENTRIES} series, labels and samples allowed")]
    TooManyEntries,
    /// The labels of a series.
    #[error("series {series}: {source}")]
    Labels {
        /// Which series, counted from 0.
        series: usize,
        /// What is wrong.
        source: LabelError,
    },
    /// The id of a sample is not UTF-8.
    #[error("series {series}: the id of a sample is not UTF-8")]
    SampleId {
        /// Which series, counted from 0.
        series: usize,
    },
}

/// One series of a request.
#[derive(Debug)]
pub struct Series {
    /// With `service_name` or `app_name` set by the reference's rule.
    pub labels: Labels,
    /// Slices of the request.
    pub samples: Arc<[RawSample]>,
}

impl Series {
    /// As a profile of the pipeline.
    pub fn into_profile(self, origin: Arc<Origin>) -> Profile {
        Profile { labels: self.labels, body: Body::Pprof(self.samples), origin }
    }
}

/// Reads a request in protobuf; profiles stay slices of `bytes`.
pub fn decode(bytes: Bytes) -> Result<Vec<Series>, PushRequestError> {
    bound_entries(&bytes)?;
    series(PushRequest::decode(bytes)?)
}

/// Reads a request in protobuf's JSON.
pub fn decode_json(bytes: &[u8]) -> Result<Vec<Series>, PushRequestError> {
    // Every entry is an object. Braces inside strings count too: no harm, since base64 has none.
    if bytes.iter().filter(|byte| **byte == b'{').count() > MAX_ENTRIES {
        return Err(PushRequestError::TooManyEntries);
    }
    series(serde_json::from_slice::<json::PushRequest>(bytes)?.into())
}

/// Writes a request of one series; the profiles are not copied. The segments follow one another on the wire.
pub fn encode(labels: &Labels, samples: &[RawSample]) -> Vec<Bytes> {
    let labels_len: usize = labels.iter().map(|(name, value)| field_len(pair_len(name, value))).sum();
    let samples_len: usize = samples.iter().map(|sample| field_len(sample_len(sample))).sum();

    let mut head = BytesMut::with_capacity(labels.byte_len() + labels.len() * 8 + 32);
    put_field(&mut head, 1, labels_len + samples_len);
    for (name, value) in labels.iter() {
        put_field(&mut head, 1, pair_len(name, value));
        put_field(&mut head, 1, name.len());
        head.put_slice(name.as_bytes());
        put_field(&mut head, 2, value.len());
        head.put_slice(value.as_bytes());
    }
    let mut segments = Vec::with_capacity(1 + 2 * samples.len());
    for sample in samples {
        put_field(&mut head, 2, sample_len(sample));
        if !sample.id.is_empty() {
            put_field(&mut head, 2, sample.id.len());
            head.put_slice(&sample.id);
        }
        if !sample.profile.is_empty() {
            put_field(&mut head, 1, sample.profile.len());
            segments.push(head.split().freeze());
            segments.push(sample.profile.clone());
        }
    }
    if !head.is_empty() {
        segments.push(head.freeze());
    }
    segments
}

fn series(request: PushRequest) -> Result<Vec<Series>, PushRequestError> {
    let mut all = Vec::with_capacity(request.series.len());
    for (index, series) in request.series.into_iter().enumerate() {
        let labels_error = |source| PushRequestError::Labels { series: index, source };
        let mut labels = LabelsBuilder::default();
        for pair in &series.labels {
            labels.set_bytes(&pair.name, &pair.value).map_err(labels_error)?;
        }
        let given = labels.value(SERVICE_NAME).is_some();
        service_name::apply(&mut labels, given);
        let samples = series.samples.into_iter().map(|sample| match str::from_utf8(&sample.id) {
            Ok(_) => Ok(RawSample { id: sample.id, profile: sample.raw_profile }),
            Err(_) => Err(PushRequestError::SampleId { series: index }),
        });
        all.push(Series { labels: labels.build().map_err(labels_error)?, samples: samples.collect::<Result<_, _>>()? });
    }
    Ok(all)
}

/// Counts the entries of a request before anything is allocated for them.
fn bound_entries(request: &[u8]) -> Result<(), PushRequestError> {
    let mut entries = 0;
    let mut series = Fields(request);
    while let Some(body) = series.next_message()? {
        entries += 1;
        let mut members = Fields(body);
        while entries <= MAX_ENTRIES && members.next_message()?.is_some() {
            entries += 1;
        }
        if entries > MAX_ENTRIES {
            return Err(PushRequestError::TooManyEntries);
        }
    }
    Ok(())
}

/// The length-delimited fields of a message; others are passed over.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn next_message(&mut self) -> Result<Option<&'a [u8]>, prost::DecodeError> {
        use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
        while !self.0.is_empty() {
            let (field, wire_type) = decode_key(&mut self.0)?;
            if wire_type != WireType::LengthDelimited {
                skip_field(wire_type, field, &mut self.0, DecodeContext::default())?;
                continue;
            }
            let length = usize::try_from(decode_varint(&mut self.0)?).unwrap_or(usize::MAX);
            // A length beyond the end is prost's to name: it reads the same bytes next.
            let (body, rest) = self.0.split_at_checked(length).unwrap_or((self.0, &[]));
            self.0 = rest;
            return Ok(Some(body));
        }
        Ok(None)
    }
}

fn pair_len(name: &str, value: &str) -> usize {
    field_len(name.len()) + field_len(value.len())
}

fn sample_len(sample: &RawSample) -> usize {
    let part = |bytes: &Bytes| if bytes.is_empty() { 0 } else { field_len(bytes.len()) };
    part(&sample.id) + part(&sample.profile)
}

/// Bytes of a field of this length with its key; all our field numbers fit one byte.
fn field_len(length: usize) -> usize {
    1 + prost::encoding::encoded_len_varint(length as u64) + length
}

fn put_field(out: &mut BytesMut, field: u8, length: usize) {
    const LENGTH_DELIMITED: u8 = 2;
    out.put_u8((field << 3) | LENGTH_DELIMITED);
    prost::encoding::encode_varint(length as u64, out);
}

/// `push/v1/push.proto` of github.com/grafana/pyroscope. Strings are declared as bytes, so that decoding slices the
/// request and does not copy; they are checked when they become labels. `annotations` (3) are dropped.
#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<ProtoSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<ProtoLabel>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<ProtoSample>,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoLabel {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSample {
    #[prost(bytes = "bytes", tag = "1")]
    raw_profile: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    id: Bytes,
}

/// The same message in protobuf's JSON mapping: lowerCamelCase or the original names, bytes as base64 of either
/// alphabet, null for what is absent, unknown members ignored.
mod json {
    use base64::Engine as _;
    use serde::{Deserialize, Deserializer};

    use super::{Bytes, ProtoLabel, ProtoSample, ProtoSeries};

    #[derive(Deserialize)]
    pub(super) struct PushRequest {
        #[serde(default, deserialize_with = "or_default")]
        series: Vec<Series>,
    }

    #[derive(Deserialize)]
    struct Series {
        #[serde(default, deserialize_with = "or_default")]
        labels: Vec<Label>,
        #[serde(default, deserialize_with = "or_default")]
        samples: Vec<Sample>,
    }

    #[derive(Deserialize)]
    struct Label {
        #[serde(default, deserialize_with = "or_default")]
        name: String,
        #[serde(default, deserialize_with = "or_default")]
        value: String,
    }

    #[derive(Deserialize)]
    struct Sample {
        #[serde(default, alias = "raw_profile", rename = "rawProfile", deserialize_with = "base64")]
        raw_profile: Bytes,
        #[serde(default, alias = "id", rename = "ID", deserialize_with = "or_default")]
        id: String,
    }

    impl From<PushRequest> for super::PushRequest {
        fn from(request: PushRequest) -> Self {
            let label = |label: Label| ProtoLabel { name: label.name.into(), value: label.value.into() };
            let sample = |sample: Sample| ProtoSample { raw_profile: sample.raw_profile, id: sample.id.into() };
            let series = |series: Series| ProtoSeries {
                labels: series.labels.into_iter().map(label).collect(),
                samples: series.samples.into_iter().map(sample).collect(),
            };
            Self { series: request.series.into_iter().map(series).collect() }
        }
    }

    fn or_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(value: D) -> Result<T, D::Error> {
        Ok(Option::deserialize(value)?.unwrap_or_default())
    }

    fn base64<'de, D: Deserializer<'de>>(value: D) -> Result<Bytes, D::Error> {
        use base64::alphabet::{STANDARD, URL_SAFE};
        use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
        let text: String = or_default(value)?;
        let alphabet = if text.contains(['-', '_']) { URL_SAFE } else { STANDARD };
        let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let bytes = GeneralPurpose::new(&alphabet, lenient).decode(text).map_err(serde::de::Error::custom)?;
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests;
