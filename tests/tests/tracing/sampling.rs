//! Which traces are recorded, and what others are told of them.

use flamegate_tests::backend::Script;
use flamegate_tests::otlp::OtlpReceiver;
use futures_util::future::join_all;

use super::{Traced, no_violations, over_grpc, over_http, servers};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

/// What the backend was told with each request, in parts.
fn told(traced: &Traced) -> Vec<Option<Vec<String>>> {
    let attempts = traced.backend.attempts();
    let header = |headers: &http::HeaderMap| {
        let value = headers.get("traceparent")?.to_str().ok()?;
        Some(value.split('-').map(str::to_owned).collect())
    };
    attempts.iter().map(|attempt| header(&attempt.request.headers)).collect()
}

#[tokio::test]
async fn a_senders_trace_goes_on_as_the_sender_decided() {
    let cases = [0, 1].map(async |fraction: usize| {
        let receiver = OtlpReceiver::start().await.unwrap();
        let tracing = format!("sampling_fraction = {fraction}\nsend_traceparent = true");
        let traced = Traced::start(Script::judging(), &over_http(&receiver, &tracing, "")).await;
        traced.push(&[("traceparent", &traceparent("01"))]).await;
        traced.push(&[("traceparent", &traceparent("00"))]).await;
        // Not a traceparent: the fraction decides.
        traced.push(&[("traceparent", "00-zz")]).await;
        let expected = 1 + fraction;
        let spans = receiver.wait_for("spans", |spans| servers(spans).len() >= expected).await.unwrap();
        assert_eq!(servers(&spans).len(), expected, "{spans:#?}");
        let continued = servers(&spans)[0];
        assert_eq!((continued.trace_id.as_str(), continued.parent.as_str()), (TRACE, SPAN));
        // Sampled, and the parent is known to be another process'.
        assert_eq!(continued.flags, 0x301);
        assert!(spans.iter().all(|span| span.kind == 2 || span.flags == 0x101), "{spans:#?}");

        let told = told(&traced);
        let [Some(sampled), Some(unsampled), Some(own)] = told.as_slice() else { panic!("{told:?}") };
        let attempt = spans.iter().find(|span| span.kind == 3).unwrap();
        assert_eq!(sampled[..], ["00", TRACE, &attempt.span_id, "01"]);
        assert_eq!((unsampled[1].as_str(), unsampled[3].as_str()), (TRACE, "00"));
        assert_ne!(unsampled[2], SPAN, "it is our span that calls");
        assert_ne!(own[1], TRACE);
        assert_eq!(own[3], format!("0{fraction}"));
        no_violations(&receiver);
    });
    join_all(cases).await;
}

/// `tracing` of `pyroscope.write` says in which forms; `send_traceparent` asks for one of them everywhere.
#[tokio::test]
async fn backends_are_told_in_the_forms_that_are_asked_for() {
    let neither = "tracing {\n jaeger_propagator = false\n trace_context_propagator = false\n}\n";
    for (of_write, everywhere, expected) in [
        ("", "", [true, true]),
        ("tracing {\n jaeger_propagator = false\n}\n", "", [true, false]),
        ("tracing {\n trace_context_propagator = false\n}\n", "", [false, true]),
        (neither, "", [false, false]),
        (neither, "send_traceparent = true", [true, false]),
    ] {
        let traced = Traced::start(Script::judging(), &format!("tracing {{\n{everywhere}\n}}\n")).await;
        traced.change_write(of_write, &format!("tracing {{\n{everywhere}\n}}\n")).await;
        traced.push(&[("traceparent", &traceparent("01"))]).await;
        let attempts = traced.backend.attempts();
        let header = |name| attempts[0].request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        let (trace_context, jaeger) = (header("traceparent"), header("uber-trace-id"));
        assert_eq!([trace_context.is_some(), jaeger.is_some()], expected, "{of_write:?}, {everywhere:?}");
        let is_of_trace = |value: &Option<String>| value.as_ref().is_none_or(|value| value.contains(TRACE));
        assert!(is_of_trace(&trace_context) && is_of_trace(&jaeger), "{trace_context:?}, {jaeger:?}");
    }
}

#[tokio::test]
async fn a_reload_changes_the_fraction_and_its_end_is_the_end() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let of = |fraction: &str| over_grpc(&receiver, &format!("sampling_fraction = {fraction}"), "");
    let traced = Traced::start(Script::judging(), &of("0")).await;
    let count = async || traced.metric("flamegate_tracing_spans_total", "").await;
    let push = async |times: usize| {
        for _ in 0..times {
            traced.push(&[]).await;
        }
    };
    push(3).await;
    assert_eq!(count().await, 0.0);

    traced.reload(&of("1")).await;
    push(2).await;
    // A request's last span may end behind its answer.
    traced.wait_metric("flamegate_tracing_spans_total", "", 8.0).await.unwrap();
    assert_eq!(count().await, 8.0, "of the reload itself nothing was to be recorded");

    traced.reload(&of("0.5")).await;
    let before = traced.wait_metric("flamegate_tracing_spans_total", "", 9.0).await.unwrap();
    push(100).await;
    let after = traced.wait_metric("flamegate_tracing_spans_total", "", before + 4.0).await.unwrap();
    // A hundred traces of four spans: that less than ten or more than ninety are kept happens to nobody.
    assert!((40.0..=360.0).contains(&(after - before)), "{before} {after}");

    // Nothing is written to: as if all were lost, and without a count of it.
    traced.reload("tracing {\n  sampling_fraction = 1\n}\n").await;
    traced.reload("").await;
    let spans = receiver.wait_for("all spans", |spans| spans.len() as f64 >= after).await.unwrap();
    let before = count().await;
    push(3).await;
    assert_eq!(count().await, before);
    traced.reload("tracing {\n  sampling_fraction = 1\n}\n").await;
    push(3).await;
    assert_eq!(count().await, before);
    assert_eq!(traced.metric("flamegate_tracing_dropped_spans_total", "").await, 0.0);
    assert_eq!(receiver.spans().len(), spans.len());
    let told = told(&traced);
    let (before, without) = told.split_at(105);
    assert!(before.iter().all(Option::is_some) && without[..3].iter().all(Option::is_none), "{told:?}");
    no_violations(&receiver);

    traced.reload(&of("1")).await;
    push(1).await;
    let more = spans.len() + 4;
    receiver.wait_for("spans again", |spans| spans.len() >= more).await.unwrap();
}
