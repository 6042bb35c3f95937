use super::*;

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
    let series = decode(bytes).unwrap();
    assert_eq!(
        series[0].labels.to_string(),
        r#"{__name__="process_cpu", app_name="process_cpu", service_name="shop"}"#
    );
    assert_eq!(series[0].samples[0].profile, "profile one");
    assert!(within.contains(&series[0].samples[0].profile.as_ptr()));
    assert_eq!(series[1].labels.to_string(), r#"{app="x"}"#);
}

#[test]
fn what_is_encoded_is_what_prost_encodes() {
    let labels = Labels::from_pairs([("__name__", "process_cpu"), ("service_name", &"s".repeat(300))]).unwrap();
    let samples = [
        RawSample { id: "an-id".into(), profile: vec![7; 20_000].into() },
        RawSample { id: Bytes::new(), profile: Bytes::new() },
        RawSample { id: "last".into(), profile: Bytes::new() },
    ];
    let message = PushRequest::decode(encode(&labels, &samples).concat().as_slice()).unwrap();
    let [series] = message.series.as_slice() else { panic!("{message:?}") };
    let pairs = series.labels.iter().map(|label| (label.name.clone(), label.value.clone()));
    assert_eq!(Labels::from_pairs(pairs).unwrap(), labels);
    let back: Vec<_> =
        series.samples.iter().map(|s| RawSample { id: s.id.clone(), profile: s.raw_profile.clone() }).collect();
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
    let bad = |bytes: &'static [u8]| decode(Bytes::from_static(bytes)).unwrap_err().to_string();
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
    assert!(matches!(decode(proto.into()), Err(PushRequestError::TooManyEntries)));
    let series = [0x0a, 0x00].repeat(MAX_ENTRIES + 1);
    assert!(matches!(decode(series.into()), Err(PushRequestError::TooManyEntries)));
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
        let pairs = labels(&case["input"])
            .into_iter()
            .map(|(name, value)| ProtoLabel { name: name.into(), value: value.into() });
        let request = PushRequest { series: vec![ProtoSeries { labels: pairs.collect(), samples: vec![] }] };
        let series = decode(request.encode_to_vec().into()).unwrap();
        assert_eq!(series[0].labels, Labels::from_pairs(labels(&case["output"])).unwrap(), "{case}");
    }
}
