//! The requests of a load, as the bytes that go over the wire.

use std::fmt::{self, Display};
use std::net::SocketAddr;

use bytes::Bytes;
use prost::Message;

use super::pprof;
use crate::sink::{INGEST_PATH, PUSH_PATH};

/// Series that the load consists of: few enough that a cache of label sets holds them all, as it does in production.
pub(crate) const LABEL_SETS: usize = 10;

/// The form in which profiles are sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Connect, `application/proto`, one series a request
    Push,
    /// `POST /ingest?name=…&format=pprof`
    Ingest,
}

impl Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Push => "push",
            Mode::Ingest => "ingest",
        })
    }
}

/// What is sent, and how.
pub(crate) struct Payload {
    mode: Mode,
    address: SocketAddr,
    profile: Vec<u8>,
    /// Length of the profile in each, in bytes.
    pub(crate) profile_len: usize,
}

impl Payload {
    /// Requests to a program that listens on `address`.
    pub(crate) fn new(mode: Mode, address: SocketAddr) -> anyhow::Result<Self> {
        let profile = pprof::gzip(pprof::SAMPLES)?;
        Ok(Self { mode, address, profile_len: profile.len(), profile })
    }

    /// The requests that a connection sends in turn, one for each label set: head and body, ready to be written. Each
    /// connection has its own: Flamegate takes equal requests at the same time for one that is sent again.
    pub(crate) fn requests(&self, connection: usize) -> Vec<Bytes> {
        let request = |series| match self.mode {
            Mode::Push => push(series, connection, &self.profile, self.address),
            Mode::Ingest => ingest(series, connection, &self.profile, self.address),
        };
        (0..LABEL_SETS).map(request).collect()
    }
}

fn push(series: usize, connection: usize, profile: &[u8], address: SocketAddr) -> Bytes {
    let mut labels = vec![
        LabelPair { name: "__name__".into(), value: "process_cpu".into() },
        LabelPair { name: "service_name".into(), value: service(series) },
    ];
    labels.extend(target(series).map(|(name, value)| LabelPair { name: name.into(), value }));
    let sample =
        RawSample { raw_profile: profile.to_vec(), id: format!("6f1a0f6e-0000-4000-8000-{connection:08}{series:04}") };
    let message = PushRequest { series: vec![RawProfileSeries { labels, samples: vec![sample] }] };
    request(
        address,
        PUSH_PATH,
        "Content-Type: application/proto\r\nConnect-Protocol-Version: 1\r\n",
        &message.encode_to_vec(),
    )
}

fn ingest(series: usize, connection: usize, profile: &[u8], address: SocketAddr) -> Bytes {
    let labels: Vec<String> = target(series).iter().map(|(name, value)| format!("{name}={value}")).collect();
    let query = form_urlencoded::Serializer::new(String::new())
        .append_pair("name", &format!("{}{{{}}}", service(series), labels.join(",")))
        .append_pair("format", "pprof")
        .append_pair("from", &connection.to_string())
        .finish();
    request(address, &format!("{INGEST_PATH}?{query}"), "Content-Type: binary/octet-stream\r\n", profile)
}

fn request(address: SocketAddr, path_and_query: &str, headers: &str, body: &[u8]) -> Bytes {
    let length = body.len();
    let head =
        format!("POST {path_and_query} HTTP/1.1\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat().into()
}

fn service(series: usize) -> String {
    format!("checkout-{series}")
}

/// The labels that the rules of [`super::configuration`] work on.
fn target(series: usize) -> [(&'static str, String); 7] {
    [
        ("k8s_label_team", "orders".to_owned()),
        ("k8s_label_version", format!("v1.42.{series}")),
        ("namespace", "shop".to_owned()),
        ("node", format!("worker-{series}.eu-west-1.internal")),
        ("pod", format!("checkout-{series}-6c9d8f7b5-x2k4j")),
        ("pod_template_hash", "6c9d8f7b5".to_owned()),
        ("region", "eu-west-1".to_owned()),
    ]
}

#[derive(Clone, PartialEq, Message)]
struct PushRequest {
    #[prost(message, repeated, tag = "1")]
    series: Vec<RawProfileSeries>,
}

#[derive(Clone, PartialEq, Message)]
struct RawProfileSeries {
    #[prost(message, repeated, tag = "1")]
    labels: Vec<LabelPair>,
    #[prost(message, repeated, tag = "2")]
    samples: Vec<RawSample>,
}

#[derive(Clone, PartialEq, Message)]
struct LabelPair {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct RawSample {
    #[prost(bytes = "vec", tag = "1")]
    raw_profile: Vec<u8>,
    #[prost(string, tag = "2")]
    id: String,
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_request_is_complete_and_names_a_series_of_its_own() {
        for mode in [Mode::Push, Mode::Ingest] {
            let payload = Payload::new(mode, ([127, 0, 0, 1], 4040).into()).unwrap();
            let requests = [payload.requests(0), payload.requests(1)].concat();
            assert_eq!(requests.iter().collect::<HashSet<_>>().len(), 2 * LABEL_SETS);
            for request in &requests {
                let mut headers = [httparse::EMPTY_HEADER; 8];
                let mut parsed = httparse::Request::new(&mut headers);
                let head = parsed.parse(request).unwrap().unwrap();
                let length = parsed.headers.iter().find(|header| header.name == "Content-Length").unwrap().value;
                let body = &request[head..];
                assert_eq!(length, body.len().to_string().as_bytes());
                let profile = match mode {
                    Mode::Push => PushRequest::decode(body).unwrap().series[0].samples[0].raw_profile.clone(),
                    Mode::Ingest => body.to_vec(),
                };
                assert_eq!(profile.len(), payload.profile_len);
            }
        }
    }

    #[test]
    fn ingest_carries_its_labels_in_the_name() {
        let payload = Payload::new(Mode::Ingest, ([127, 0, 0, 1], 4040).into()).unwrap();
        let request = String::from_utf8_lossy(&payload.requests(0)[3]).into_owned();
        let query = request.split(' ').nth(1).unwrap().split_once('?').unwrap().1;
        let pairs: Vec<_> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        assert_eq!(pairs[0].0, "name");
        assert!(pairs[0].1.starts_with("checkout-3{k8s_label_team=orders,"), "{}", pairs[0].1);
        assert!(pairs[0].1.ends_with(",region=eu-west-1}"), "{}", pairs[0].1);
        assert_eq!(pairs[1], ("format".to_owned(), "pprof".to_owned()));
    }
}
