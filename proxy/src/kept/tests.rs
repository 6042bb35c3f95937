use std::time::UNIX_EPOCH;

use profiler_core::pprof::{Profile as Pprof, ValueType};
use prost::Message;

use super::*;
use crate::pipeline::{Origin, Share};
use crate::telemetry::traces::Trace;

/// A recording of all kinds but nativemem, and how many these are.
const RECORDING: &[u8] = include_bytes!("../../../profiler-core/tests/recordings/async-profiler-4.6.jfr.gz");
const RECORDED_KINDS: usize = 7;
const LIMITS: Limits = Limits { keep: Duration::from_secs(900), max_memory: 10_000 };

fn body(bytes: impl Into<Bytes>) -> Body {
    Body::Pprof([RawSample { id: Bytes::new(), profile: bytes.into() }].into())
}

fn profile(service: &str, body: Body) -> Profile {
    let origin = Origin {
        arrived: UNIX_EPOCH,
        trace: Trace::default(),
        forwarded: http::HeaderMap::new(),
        memory: Share::unbounded(),
    };
    Profile::new(Labels::from_pairs([("service_name", service)]).unwrap(), body, Arc::new(origin))
}

fn services(store: &Store) -> Vec<String> {
    let all = store.select(&Selector::default(), UNIX_EPOCH, SystemTime::now() + LIMITS.keep);
    all.iter().map(|kept| kept.labels.value("service_name").unwrap().to_owned()).collect()
}

#[test]
fn bytes_are_copied_and_what_owned_them_is_let_go() {
    let store = Store::new(LIMITS);
    let request = Bytes::from(vec![7; 5000]);
    let sent = profile("a", body(request.slice(10..20)));
    let origin = Arc::downgrade(&sent.origin);
    store.keep(&sent, SystemTime::now());
    drop(sent);
    assert_eq!(origin.strong_count(), 0);
    assert!(request.is_unique());
    let kept = store.select(&Selector::default(), UNIX_EPOCH, SystemTime::now());
    assert_eq!(kept[0].body.byte_len(), 10);
    assert!(store.fill().bytes < 1000);
}

#[test]
fn the_eldest_make_room() {
    let store = Store::new(LIMITS);
    let now = SystemTime::now();
    for service in ["a", "b", "c", "d"] {
        store.keep(&profile(service, body(vec![0; 2800])), now);
    }
    assert_eq!(services(&store), ["d", "c", "b"]);
    let fill = store.fill();
    assert_eq!((fill.profiles, fill.series, fill.evicted, fill.too_large), (3, 3, 1, 0));
    assert!(fill.bytes <= LIMITS.max_memory);

    store.keep(&profile("large", body(vec![0; 10_000])), now);
    assert_eq!((services(&store).len(), store.fill().too_large), (3, 1));

    store.set_limits(Limits { max_memory: 4000, ..LIMITS });
    assert_eq!(services(&store), ["d"]);
    store.set_limits(Limits { max_memory: 1, ..LIMITS });
    assert_eq!(store.fill(), Fill { evicted: 4, too_large: 1, ..Fill::default() });
}

#[test]
fn what_is_too_old_goes_when_someone_looks() {
    let store = Store::new(LIMITS);
    let now = SystemTime::now();
    store.keep(&profile("old", body("x")), now - LIMITS.keep - Duration::from_secs(60));
    store.keep(&profile("new", body("x")), now - LIMITS.keep + Duration::from_secs(60));
    assert_eq!(services(&store), ["new"]);
    assert_eq!(store.fill().evicted, 0);
}

#[test]
fn series_are_bounded() {
    let store = Store::new(Limits { max_memory: usize::MAX, ..LIMITS });
    let now = SystemTime::now();
    for service in 0..=MOST_SERIES {
        store.keep(&profile(&service.to_string(), body("x")), now);
    }
    let fill = store.fill();
    assert_eq!((fill.series, fill.evicted), (MOST_SERIES, 1));
}

#[test]
fn the_busiest_series_comes_first() {
    let store = Store::new(LIMITS);
    let now = SystemTime::now();
    store.keep(&profile("before", body(vec![0; 900])), now - Duration::from_secs(60));
    store.keep(&profile("small", body("xx")), now);
    store.keep(&profile("small", body("xx")), now);
    store.keep(&profile("large", body("xxxxxx")), now);
    let series = store.series_since(now - Duration::from_secs(1));
    let shown: Vec<_> = series.iter().map(|s| (s.labels.to_string(), s.profiles, s.bytes)).collect();
    let expected = [(r#"{service_name="large"}"#.to_owned(), 1, 6), (r#"{service_name="small"}"#.to_owned(), 2, 4)];
    assert_eq!(shown, expected);
}

#[test]
fn times_and_labels_select() {
    let store = Store::new(LIMITS);
    let now = SystemTime::now();
    for (service, seconds) in [("a", 30), ("b", 20), ("a", 10)] {
        store.keep(&profile(service, body("x")), now - Duration::from_secs(seconds));
    }
    let of = |selector: &str, from, until| {
        let at = |seconds| now - Duration::from_secs(seconds);
        store.select(&selector.parse().unwrap(), at(from), at(until)).len()
    };
    assert_eq!(of("{}", 30, 0), 3);
    assert_eq!(of(r#"{service_name="a"}"#, 30, 0), 2);
    assert_eq!(of(r#"{service_name="a"}"#, 15, 0), 1);
    assert_eq!(of(r#"{service_name!="a"}"#, 30, 25), 0);
}

fn ingest(query: &str, content_type: &'static str, bytes: impl Into<Bytes>) -> Body {
    let content_types = vec![http::HeaderValue::from_static(content_type)];
    Body::Ingest(Arc::new(IngestBody { query: query.to_owned(), content_types, bytes: bytes.into() }))
}

#[tokio::test]
async fn each_format_is_opened_or_told() {
    let pprof = Pprof {
        string_table: vec![String::new(), "cpu".into()],
        sample_type: vec![ValueType { kind: 1, unit: 0 }],
        ..Pprof::default()
    };
    let bytes = pprof.encode_to_vec();
    let form =
        [b"--x\r\ncontent-disposition: form-data; name=\"profile\"\r\n\r\n", &bytes[..], b"\r\n--x--\r\n"].concat();
    let recorded =
        [b"--x\r\ncontent-disposition: form-data; name=\"jfr\"\r\n\r\n", RECORDING, b"\r\n--x--\r\n"].concat();
    for (body, drawn, says) in [
        (body(bytes.clone()), 1, ""),
        (body(profiler_core::pprof::gzip(&bytes).unwrap()), 1, ""),
        (body("\x0a\x7f"), 0, "damaged: the profile is damaged: the message cannot be read"),
        (ingest("name=a&format=pprof", "", bytes), 1, ""),
        (ingest("name=a", "multipart/form-data; boundary=x", form), 1, ""),
        (ingest("name=a", "multipart/form-data; boundary=x", "--y"), 0, "damaged: "),
        (ingest("name=a&format=jfr", "", "FLR"), 0, "damaged: "),
        (ingest("name=a&format=jfr", "", RECORDING), RECORDED_KINDS, ""),
        (ingest("name=a&format=jfr", "multipart/form-data; boundary=x", recorded), RECORDED_KINDS, ""),
        (ingest("name=a&format=trie", "", "x"), 0, "trie is not drawn yet"),
        (ingest("name=a", "", "main;work 1\n\nno stack\n"), 1, ""),
        (ingest("name=a&format=lines", "", "main;work\nmain"), 1, ""),
    ] {
        let mut opened = 0;
        let not_drawable = open(&body, |message| {
            opened += usize::from(!message.types().is_empty());
            Ok(())
        });
        let not_drawable = not_drawable.await;
        assert_eq!(opened, drawn, "{body:?}");
        let told = not_drawable.first().map(ToString::to_string).unwrap_or_default();
        assert!(told.starts_with(says) && told.is_empty() == says.is_empty(), "{body:?}: {told}");
    }
}
