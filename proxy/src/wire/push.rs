//! `push.v1.PushRequest`, the message of Pyroscope's push API: from protobuf or JSON into profiles, and back to protobuf.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use profiler_core::labels::{LabelError, Labels, LabelsBuilder, SERVICE_NAME};
use prost::DecodeError;
use prost::encoding::{DecodeContext, WireType, check_wire_type, decode_key, decode_varint, skip_field};

use super::known_labels::KnownLabels;
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
    Proto(#[from] DecodeError),
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
        Profile::new(self.labels, Body::Pprof(self.samples), origin)
    }
}

/// Reads a request in protobuf; profiles stay slices of `bytes`.
pub fn decode(bytes: &Bytes, known: &KnownLabels) -> Result<Vec<Series>, PushRequestError> {
    let mut entries = Entries(0);
    let mut all = Vec::new();
    let mut fields = Fields::new(bytes, 1);
    while let Some(field) = fields.next()? {
        entries.add()?;
        all.push(series(bytes, field.body, all.len(), known, &mut entries)?);
    }
    Ok(all)
}

/// Reads a request in protobuf's JSON.
pub fn decode_json(bytes: &[u8]) -> Result<Vec<Series>, PushRequestError> {
    // Every entry is an object. Braces inside strings count too: no harm, since base64 has none.
    if bytes.iter().filter(|byte| **byte == b'{').count() > MAX_ENTRIES {
        return Err(PushRequestError::TooManyEntries);
    }
    let request: json::PushRequest = serde_json::from_slice(bytes)?;
    request.series.into_iter().enumerate().map(|(index, series)| series.read(index)).collect()
}

/// The labels of a series as they stand in a request, for [`encode`].
pub fn encode_labels(labels: &Labels) -> Bytes {
    let mut fields = BytesMut::with_capacity(labels.byte_len() + labels.len() * 8);
    for (name, value) in labels.iter() {
        put_field(&mut fields, 1, pair_len(name, value));
        put_field(&mut fields, 1, name.len());
        fields.put_slice(name.as_bytes());
        put_field(&mut fields, 2, value.len());
        fields.put_slice(value.as_bytes());
    }
    fields.freeze()
}

/// Writes a request of one series, of which the labels are encoded; the profiles are not copied. The segments follow one
/// another on the wire.
pub fn encode(labels: &[u8], samples: &[RawSample]) -> Vec<Bytes> {
    let samples_len: usize = samples.iter().map(|sample| field_len(sample_len(sample))).sum();
    let mut head = BytesMut::with_capacity(labels.len() + 64);
    put_field(&mut head, 1, labels.len() + samples_len);
    head.put_slice(labels);
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

fn series(
    request: &Bytes,
    message: &[u8],
    index: usize,
    known: &KnownLabels,
    entries: &mut Entries,
) -> Result<Series, PushRequestError> {
    let mut labels = LabelFields::default();
    let mut samples = Vec::new();
    let mut fields = Fields::new(message, 2);
    while let Some(field) = fields.next()? {
        entries.add()?;
        match field.number {
            1 => labels.add(field.range),
            _ => samples.push(sample(request, field.body, index)?),
        }
    }
    let labels = known.read(&labels.of(message), |labels| read_labels(labels, index))?;
    Ok(Series { labels, samples: samples.into() })
}

fn read_labels(message: &[u8], series: usize) -> Result<Labels, PushRequestError> {
    let labels_error = |source| PushRequestError::Labels { series, source };
    let mut labels = LabelsBuilder::default();
    let mut fields = Fields::new(message, 2);
    while let Some(label) = fields.next()? {
        let (mut name, mut value) = Default::default();
        let mut parts = Fields::new(label.body, 2);
        while let Some(part) = parts.next()? {
            *(if part.number == 1 { &mut name } else { &mut value }) = part.body;
        }
        labels.set_bytes(name, value).map_err(labels_error)?;
    }
    finish(labels).map_err(labels_error)
}

fn sample(request: &Bytes, message: &[u8], series: usize) -> Result<RawSample, PushRequestError> {
    let (mut profile, mut id) = Default::default();
    let mut fields = Fields::new(message, 2);
    while let Some(field) = fields.next()? {
        *(if field.number == 1 { &mut profile } else { &mut id }) = field.body;
    }
    str::from_utf8(id).map_err(|_| PushRequestError::SampleId { series })?;
    Ok(RawSample { profile: request.slice_ref(profile), id: request.slice_ref(id) })
}

fn finish(mut labels: LabelsBuilder<'_>) -> Result<Labels, LabelError> {
    let given = labels.value(SERVICE_NAME).is_some();
    service_name::apply(&mut labels, given);
    labels.build()
}

/// The series, labels and samples of a request so far. They are counted before anything is allocated for them.
struct Entries(usize);

impl Entries {
    fn add(&mut self) -> Result<(), PushRequestError> {
        self.0 += 1;
        if self.0 > MAX_ENTRIES { Err(PushRequestError::TooManyEntries) } else { Ok(()) }
    }
}

/// Where in a series its labels are: one behind the other, unless its sender is a strange one.
#[derive(Default)]
struct LabelFields {
    first: Range<usize>,
    others: Vec<Range<usize>>,
}

impl LabelFields {
    fn add(&mut self, field: Range<usize>) {
        let last = self.others.last_mut().unwrap_or(&mut self.first);
        match last.end {
            // No field ends where the message begins.
            0 => *last = field,
            end if end == field.start => last.end = field.end,
            _ => self.others.push(field),
        }
    }

    fn of<'a>(&self, message: &'a [u8]) -> Cow<'a, [u8]> {
        let part = |range: &Range<usize>| message.get(range.clone()).unwrap_or_default();
        if self.others.is_empty() {
            return part(&self.first).into();
        }
        [&self.first].into_iter().chain(&self.others).flat_map(part).copied().collect::<Vec<_>>().into()
    }
}

/// The fields of a message of `push/v1/push.proto` of github.com/grafana/pyroscope, which are all length-delimited:
/// those up to a number, without `annotations` and what later versions add. Labels and samples are read by hand so that
/// they stay slices of the request and labels need not be read twice.
struct Fields<'a> {
    message: &'a [u8],
    rest: &'a [u8],
    last: u32,
}

struct Field<'a> {
    number: u32,
    /// Where in the message it is, with its key and length.
    range: Range<usize>,
    body: &'a [u8],
}

impl<'a> Fields<'a> {
    fn new(message: &'a [u8], last: u32) -> Self {
        Self { message, rest: message, last }
    }

    fn next(&mut self) -> Result<Option<Field<'a>>, DecodeError> {
        while !self.rest.is_empty() {
            let start = self.message.len() - self.rest.len();
            let (number, wire_type) = decode_key(&mut self.rest)?;
            if number > self.last {
                skip_field(wire_type, number, &mut self.rest, DecodeContext::default())?;
                continue;
            }
            check_wire_type(WireType::LengthDelimited, wire_type)?;
            let mut at_length = self.rest;
            let length = usize::try_from(decode_varint(&mut self.rest)?).unwrap_or(usize::MAX);
            let Some((body, rest)) = self.rest.split_at_checked(length) else {
                // To skip it says what is wrong with it.
                skip_field(wire_type, number, &mut at_length, DecodeContext::default())?;
                return Ok(None);
            };
            self.rest = rest;
            return Ok(Some(Field { number, range: start..self.message.len() - rest.len(), body }));
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

/// The same message in protobuf's JSON mapping: lowerCamelCase or the original names, bytes as base64 of either
/// alphabet, null for what is absent, unknown members ignored.
mod json {
    use base64::Engine as _;
    use serde::{Deserialize, Deserializer};

    use super::{Bytes, LabelsBuilder, PushRequestError, RawSample, finish};

    #[derive(Deserialize)]
    pub(super) struct PushRequest {
        #[serde(default, deserialize_with = "or_default")]
        pub(super) series: Vec<Series>,
    }

    #[derive(Deserialize)]
    pub(super) struct Series {
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

    impl Series {
        pub(super) fn read(self, index: usize) -> Result<super::Series, PushRequestError> {
            let mut labels = LabelsBuilder::default();
            for Label { name, value } in self.labels {
                labels.set(name, value);
            }
            let labels = finish(labels).map_err(|source| PushRequestError::Labels { series: index, source })?;
            let sample = |sample: Sample| RawSample { profile: sample.raw_profile, id: sample.id.into() };
            Ok(super::Series { labels, samples: self.samples.into_iter().map(sample).collect() })
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
