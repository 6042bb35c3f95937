//! The messages of `push.v1.PusherService/Push`, by hand: the tests must not share generated code with the
//! product that they test.

use bytes::Bytes;
use prost::Message;

/// Path of the one method, below the base path.
pub const PUSH_PATH: &str = "/push.v1.PusherService/Push";

/// Profiles of one call.
#[derive(Clone, PartialEq, Message)]
pub struct PushRequest {
    /// Each with its own labels.
    #[prost(message, repeated, tag = "1")]
    pub series: Vec<RawProfileSeries>,
}

/// One label set and its profiles.
#[derive(Clone, PartialEq, Message)]
pub struct RawProfileSeries {
    /// In the order in which they were sent.
    #[prost(message, repeated, tag = "1")]
    pub labels: Vec<LabelPair>,
    /// The profiles.
    #[prost(message, repeated, tag = "2")]
    pub samples: Vec<RawSample>,
    /// Notes of the sender about the series.
    #[prost(message, repeated, tag = "3")]
    pub annotations: Vec<ProfileAnnotation>,
}

/// A label.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct LabelPair {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its value.
    #[prost(string, tag = "2")]
    pub value: String,
}

/// A profile.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct RawSample {
    /// pprof, gzip or not.
    #[prost(bytes = "bytes", tag = "1")]
    pub raw_profile: Bytes,
    /// A UUID in practice.
    #[prost(string, tag = "2")]
    pub id: String,
}

/// A note on a series.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct ProfileAnnotation {
    /// What the note is about.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The note.
    #[prost(string, tag = "2")]
    pub value: String,
}

impl PushRequest {
    /// One series with one profile, as most senders build it.
    #[must_use]
    pub fn one(labels: &[(&str, &str)], raw_profile: impl Into<Bytes>) -> Self {
        let labels =
            labels.iter().map(|&(name, value)| LabelPair { name: name.to_owned(), value: value.to_owned() }).collect();
        let sample =
            RawSample { raw_profile: raw_profile.into(), id: "0f0a3b6c-6d0b-4c39-9a0e-3a1f5a2b7c11".to_owned() };
        let series = RawProfileSeries { labels, samples: vec![sample], annotations: Vec::new() };
        Self { series: vec![series] }
    }
}
