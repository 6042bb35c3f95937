use prost::Message;

use super::*;

/// As prost reads them.
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
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    value: String,
}

#[derive(Clone, PartialEq, Message)]
struct ProtoSample {
    #[prost(bytes = "bytes", tag = "1")]
    raw_profile: Bytes,
    #[prost(string, tag = "2")]
    id: String,
}

fn read(bytes: impl Into<Bytes>) -> Result<Vec<Series>, PushRequestError> {
    decode(&bytes.into(), &KnownLabels::default())
}

fn request() -> PushRequest {
    let label = |name: &'static str, value: &'static str| ProtoLabel { name: name.into(), value: value.into() };
    let sample = |id: &'static str, bytes: &'static [u8]| ProtoSample { id: id.into(), raw_profile: bytes.into() };
    PushRequest {
        series: vec![
            ProtoSeries {
                labels: vec![label("__name__", "process_cpu"), label("service_name", "shop")],
                samples: vec![sample("one", b"profile one"), sample("", b"two")],
            },
            ProtoSeries { labels: vec![label("app", "x")], samples: vec![] },
        ],
    }
}

#[test]
fn profiles_are_slices_of_the_request() {
    let bytes = Bytes::from(request().encode_to_vec());
    let within = bytes.as_ptr_range();
    let series = read(bytes).unwrap();
    assert_eq!(
        series[0].labels.to_string(),
        r#"{__name__="process_cpu", app_name="process_cpu", service_name="shop"}"#
    );
    assert_eq!(series[0].samples[0].profile, "profile one");
    assert!(within.contains(&series[0].samples[0].profile.as_ptr()));
    assert_eq!(series[1].labels.to_string(), r#"{app="x"}"#);
}

/// A field of a message, with a length.
fn field(number: u8, body: &[u8]) -> Vec<u8> {
    let mut field = vec![number << 3 | 2, u8::try_from(body.len()).unwrap()];
    field.extend(body);
    field
}

#[test]
fn strange_requests_are_read_as_prost_reads_them() {
    let label = |name: &str, value: &str| field(1, &[field(1, name.as_bytes()), field(2, value.as_bytes())].concat());
    let sample = |bytes: &[u8]| field(2, &field(1, bytes));
    let (annotation, number) = (field(3, b"\x0a\x01k"), vec![0x20, 0x96, 0x01]);
    let twice = field(1, &[field(1, b"x"), field(2, b"old"), field(2, b"new"), field(1, b"y")].concat());
    let requests = [
        vec![],
        field(1, &[]),
        field(1, &field(1, &[])),
        field(1, &[label("b", "1"), sample(b"p"), label("a", "2"), annotation.clone(), label("c", "3")].concat()),
        field(1, &[sample(b"p"), label("a", "1"), number.clone(), sample(b"q"), annotation, number.clone()].concat()),
        field(1, &[twice, label("a", "1"), label("a", "2"), label("z", "")].concat()),
        [number.clone(), field(1, &label("a", "1")), number, field(1, &sample(b""))].concat(),
        // A group, numbers where fields should be, and lengths that lead nowhere.
        [vec![0x2b, 0x08, 0x01, 0x2c], field(1, &label("a", "1"))].concat(),
        vec![0x08, 0x01],
        field(1, &[0x08, 0x01]),
        field(1, &[0x15, 1, 2, 3, 4]),
        vec![0x0a],
        vec![0x0a, 0x7f],
        vec![0x0a, 0x02, 0x0a, 0x05],
        vec![0x02, 0x00],
        vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    ];
    for request in requests {
        let by_prost = PushRequest::decode(&*request);
        match (read(request.clone()), by_prost) {
            (Ok(series), Ok(by_prost)) => {
                assert_eq!(series.len(), by_prost.series.len(), "{request:?}");
                for (series, by_prost) in series.iter().zip(by_prost.series) {
                    let mut labels = LabelsBuilder::default();
                    by_prost.labels.into_iter().for_each(|label| labels.set(label.name, label.value));
                    assert_eq!(series.labels, finish(labels).unwrap(), "{request:?}");
                    let profiles = series.samples.iter().map(|sample| &sample.profile);
                    assert!(profiles.eq(by_prost.samples.iter().map(|sample| &sample.raw_profile)), "{request:?}");
                }
            }
            (Err(PushRequestError::Proto(error)), Err(by_prost)) => {
                let cause = |error: &DecodeError| error.to_string().rsplit(": ").next().map(str::to_owned);
                assert_eq!(cause(&error), cause(&by_prost), "{request:?}");
            }
            (read, by_prost) => panic!("{request:?}: {read:?}, but {by_prost:?}"),
        }
    }
}

#[test]
fn labels_that_came_before_are_the_same_set() {
    let known = KnownLabels::default();
    let [first, again] = [(), ()].map(|()| decode(&request().encode_to_vec().into(), &known).unwrap());
    assert_eq!(first[0].labels, again[0].labels);
    assert!(std::ptr::eq(first[0].labels.text(), again[0].labels.text()), "read again");
    assert_ne!(first[0].labels, first[1].labels);
}

#[test]
fn what_is_encoded_is_what_prost_encodes() {
    let labels = Labels::from_pairs([("__name__", "process_cpu"), ("service_name", &"s".repeat(300))]).unwrap();
    let samples = [
        RawSample { id: "an-id".into(), profile: vec![7; 20_000].into() },
        RawSample { id: Bytes::new(), profile: Bytes::new() },
        RawSample { id: "last".into(), profile: Bytes::new() },
    ];
    let message = PushRequest::decode(encode(&encode_labels(&labels), &samples).concat().as_slice()).unwrap();
    let [series] = message.series.as_slice() else { panic!("{message:?}") };
    let pairs = series.labels.iter().map(|label| (label.name.clone(), label.value.clone()));
    assert_eq!(Labels::from_pairs(pairs).unwrap(), labels);
    let back: Vec<_> =
        series.samples.iter().map(|s| RawSample { id: s.id.clone().into(), profile: s.raw_profile.clone() }).collect();
    assert_eq!(back, samples);
}

#[test]
fn json_reads_as_protobuf_does() {
    let json = br#"{"series": [{"labels": [{"name": "app", "value": "x"}], "other": 1,
        "samples": [{"rawProfile": "cHJvZmlsZQ==", "ID": "i"}, {"raw_profile": "_-8", "id": null}]}, {}]}"#;
    let series = decode_json(json).unwrap();
    assert_eq!(series[0].labels.to_string(), r#"{app="x"}"#);
    assert_eq!(series[0].samples[0].profile, "profile");
    assert_eq!(series[0].samples[0].id, "i");
    assert_eq!(series[0].samples[1].profile.as_ref(), [0xff, 0xef]);
    assert!(series[1].labels.is_empty());
    assert!(matches!(decode_json(b"{\"series\": 3}"), Err(PushRequestError::Json(_))));
}

#[test]
fn bad_requests_are_refused() {
    let bad = |bytes: &'static [u8]| read(bytes).unwrap_err().to_string();
    assert!(bad(b"\x0a\x05ab").contains("no push.v1.PushRequest"), "{}", bad(b"\x0a\x05ab"));
    assert!(bad(b"garbage").contains("no push.v1.PushRequest"));
    assert_eq!(
        bad(b"\x0a\x08\x0a\x06\x0a\x01a\x12\x01\xff"),
        "series 0: invalid label value for a: \u{fffd}",
        "a value that is not UTF-8"
    );
    assert_eq!(bad(b"\x0a\x05\x12\x03\x12\x01\xff"), "series 0: the id of a sample is not UTF-8");
}

#[test]
fn very_many_entries_are_refused_before_they_are_built() {
    let empty_labels = [0x0a, 0x00].repeat(MAX_ENTRIES + 1);
    let mut proto = vec![0x0a];
    prost::encoding::encode_varint(empty_labels.len() as u64, &mut proto);
    proto.extend(empty_labels);
    assert!(matches!(read(proto), Err(PushRequestError::TooManyEntries)));
    let series = [0x0a, 0x00].repeat(MAX_ENTRIES + 1);
    assert!(matches!(read(series), Err(PushRequestError::TooManyEntries)));
    let json = format!("{{\"series\": [{}{{}}]}}", "{},".repeat(MAX_ENTRIES));
    assert!(matches!(decode_json(json.as_bytes()), Err(PushRequestError::TooManyEntries)));
}

/// `push_labels.json`.
#[test]
fn labels_are_those_that_the_reference_forwards() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../../tests/conformance/push_labels.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    assert_eq!(cases.len() as u64, file["count"].as_u64().unwrap());
    let labels = |value: &serde_json::Value| -> Vec<(String, String)> {
        value.as_object().unwrap().iter().map(|(k, v)| (k.clone(), v.as_str().unwrap().to_owned())).collect()
    };
    for case in cases {
        let pairs = labels(&case["input"]).into_iter().map(|(name, value)| ProtoLabel { name, value });
        let request = PushRequest { series: vec![ProtoSeries { labels: pairs.collect(), samples: vec![] }] };
        let series = read(request.encode_to_vec()).unwrap();
        assert_eq!(series[0].labels, Labels::from_pairs(labels(&case["output"])).unwrap(), "{case}");
    }
}
