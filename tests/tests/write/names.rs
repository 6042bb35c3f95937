//! Labels that cannot stand in the `name` of `/ingest`.

use bytes::Bytes;
use flamegate_tests::gzip;
use flamegate_tests::http_client::Reply;
use flamegate_tests::pprof::ProfileBuilder;
use flamegate_tests::spine::GOOD_LABELS;
use prost::Message as _;

use super::*;

const BOUNDARY: &str = "boundary";

/// A form with these parts.
fn form(parts: &[(&str, &[u8])]) -> Bytes {
    let mut body = Vec::new();
    for (name, bytes) in parts {
        body.extend(format!("--{BOUNDARY}\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n").bytes());
        body.extend_from_slice(bytes);
        body.extend(b"\r\n");
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body.into()
}

async fn ingest(url: &str, query: &str, is_form: bool, body: Bytes) -> Reply {
    let form = format!("multipart/form-data; boundary={BOUNDARY}");
    let headers: Vec<_> = is_form.then_some(("content-type", form.as_str())).into_iter().collect();
    post(&format!("{url}/ingest?name=shop{{__secret__=s,team=blue}}&{query}"), &headers, body).await.unwrap()
}

async fn renamed(flamegate: &Flamegate) -> f64 {
    let metrics = flamegate.metrics().await.unwrap();
    metrics.sum("flamegate_write_renamed_profiles_total", &[("component_id", WRITE)]).unwrap()
}

#[tokio::test]
async fn a_single_pprof_goes_out_by_push() {
    let backend = Backend::start().await.unwrap();
    let (flamegate, url) = pipeline(&backend.url(), "external_labels = { \"zone\" = \"a,b}{c\" }", "").await;
    let (profile, memory) = (good_profile(), ProfileBuilder::heap().sample(&["leaf"], &[1; 4], &[]).encode());
    let packed = Bytes::from(gzip::compress(&profile).unwrap());
    for (query, is_form, body, raw, name, spy) in [
        ("format=pprof", false, profile.clone(), &profile, "process_cpu", "unknown"),
        ("format=pprof&spyName=gospy", false, packed.clone(), &packed, "process_cpu", "gospy"),
        ("format=pprof", true, form(&[("profile", &profile)]), &profile, "process_cpu", "unknown"),
        ("spyName=a+b", true, form(&[("profile", &packed)]), &packed, "process_cpu", "a b"),
        ("", true, form(&[("profile", &memory)]), &memory, "memory", "unknown"),
    ] {
        let reply = ingest(&url, query, is_form, body).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, ""), "{query}");
        let received = backend.received().pop().unwrap();
        assert_eq!(received.api, Api::Push, "{query}");
        let expected = [
            ("__name__", name),
            ("__delta__", "false"),
            ("pyroscope_spy", spy),
            ("service_name", "shop"),
            ("team", "blue"),
            ("zone", "a,b}{c"),
        ];
        let expected: BTreeMap<_, _> = expected.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        assert_eq!(received.labels, expected, "{query}");
        assert_eq!(received.profiles[0].raw, raw, "{query}");
    }
    assert_eq!(renamed(&flamegate).await, 0.0);
}

#[tokio::test]
async fn anything_else_is_sent_under_another_value() {
    let backend = Backend::start().await.unwrap();
    let (flamegate, url) = pipeline(&backend.url(), "external_labels = { \"zone\" = \"a,b}{c\" }", "").await;
    let profile = good_profile();
    let two = form(&[("profile", &profile), ("sample_type_config", b"{}")]);
    let other = form(&[("other", &profile)]);
    let mut old = ProfileBuilder::cpu().sample(&["leaf"], &[1], &[]).build();
    old.time_nanos = 7;
    let old = Bytes::from(old.encode_to_vec());
    let bodies = [
        ("", false, Bytes::from_static(b"main;leaf 10\n")),
        ("", true, two),
        ("", true, other),
        // Servers write its functions anew, which they do not for a push.
        ("format=pprof&spyName=pyspy", false, profile.clone()),
        // Its time is that of the request.
        ("format=pprof", false, old),
    ];
    let count = bodies.len();
    for (query, is_form, body) in bodies {
        let reply = ingest(&url, query, is_form, body.clone()).await;
        assert_eq!((reply.status.as_u16(), reply.text().as_str()), (200, ""), "{query}");
        let received = backend.received().pop().unwrap();
        assert_eq!((received.api, received.labels["zone"].as_str()), (Api::Ingest, "a_b__c"), "{query}");
        assert_eq!(received.labels["team"], "blue");
        assert_eq!(received.body, body, "{query}");
    }
    assert_eq!(renamed(&flamegate).await, count as f64);
    let told = flamegate.logs().into_iter().filter(|line| line.contains("each is sent as `_`")).count();
    assert_eq!(told, 1, "once a series");
    // A push can say every label.
    assert_eq!(PushClient::CONNECT.push(&url, &PushRequest::one(&GOOD_LABELS, profile)).await.unwrap().error, None);
    assert_eq!(backend.received().pop().unwrap().labels["zone"], "a,b}{c");
    assert_eq!(renamed(&flamegate).await, count as f64);
}
