//! What spans say.

use flamegate_tests::backend::{Answer, Script};
use flamegate_tests::http_client::{get, post};
use flamegate_tests::otlp::{OtlpReceiver, Span, Via};
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::{Protocol, PushClient};
use flamegate_tests::spine::{RECEIVE, WRITE, good_profile};
use futures_util::future::join_all;
use http::StatusCode;

use super::{ALL, GRPC, HTTP, Traced, no_violations, over_grpc, over_http, servers};

/// Some of a span's attributes.
fn has(span: &Span, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(span.attributes.get(*name).map(String::as_str), Some(*value), "{name} of {span:#?}");
    }
}

fn children<'s>(spans: &'s [Span], parent: &Span) -> Vec<&'s Span> {
    let children = spans.iter().filter(|span| span.parent == parent.span_id);
    children.inspect(|span| assert_eq!(span.trace_id, parent.trace_id, "{span:?}")).collect()
}

fn named<'s>(spans: &[&'s Span], name: &str) -> Vec<&'s Span> {
    spans.iter().copied().filter(|span| span.name == name).collect()
}

#[tokio::test]
async fn a_push_with_a_retry_is_a_trace_over_each_protocol() {
    let cases = [(Via::Http, true), (Via::Http, false), (Via::Grpc, true), (Via::Grpc, false)];
    let cases = cases.map(async |(via, gzip)| {
        let receiver = OtlpReceiver::start().await.unwrap();
        let (mut blocks, exporter) = match via {
            Via::Http => (over_http(&receiver, ALL, ""), HTTP),
            Via::Grpc => (over_grpc(&receiver, ALL, ""), GRPC),
        };
        let more = "headers = { \"x-scope-orgid\" = \"traces\" }\n";
        let compression = if gzip { "" } else { "    compression = \"none\"\n" };
        blocks = blocks.replacen("client {", &format!("client {{\n{compression}    {more}    "), 1);
        let script = Script::first([Answer::status(StatusCode::SERVICE_UNAVAILABLE)]);
        let traced = Traced::start(script, &blocks).await;
        traced.push(&[]).await;
        let spans = receiver.wait_for("five spans", |spans| spans.len() >= 5).await.unwrap();
        assert_eq!(spans.len(), 5, "{spans:#?}");

        let server = &servers(&spans)[0];
        assert_eq!((server.name.as_str(), server.parent.as_str()), ("/push.v1.PusherService/Push", ""));
        assert_eq!(server.error, None);
        has(
            server,
            &[
                ("http.request.method", "POST"),
                ("http.route", "/push.v1.PusherService/Push"),
                ("http.response.status_code", "200"),
                ("network.protocol.version", "1.1"),
                ("flamegate.profiles", "1"),
                ("flamegate.component_id", RECEIVE),
            ],
        );
        assert!(server.attributes["http.request.body.size"].parse::<usize>().unwrap() > good_profile().len());
        let below = children(&spans, server);
        assert_eq!(below.len(), 2, "{spans:#?}");
        let relabel = named(&below, "pyroscope.relabel")[0];
        has(
            relabel,
            &[
                ("flamegate.series.kept", "1"),
                ("flamegate.series.dropped", "0"),
                ("flamegate.series.failed", "0"),
                ("flamegate.component_id", "pyroscope.relabel.default"),
            ],
        );
        let write = named(&below, "Push")[0];
        has(
            write,
            &[
                ("flamegate.endpoint", &traced.backend.url()),
                ("flamegate.retries", "1"),
                ("flamegate.profiles", "1"),
                ("flamegate.component_id", WRITE),
            ],
        );
        assert!(write.took <= server.took && write.error.is_none(), "{spans:#?}");
        let attempts = children(&spans, write);
        assert_eq!(attempts.len(), 2);
        let port = traced.backend.address().port().to_string();
        for attempt in &attempts {
            assert_eq!((attempt.name.as_str(), attempt.kind), ("POST", 3));
            has(attempt, &[("server.address", "127.0.0.1"), ("server.port", &port)]);
            assert!(attempt.attributes["url.full"].ends_with("/push.v1.PusherService/Push"));
        }
        has(attempts[0], &[("http.response.status_code", "503")]);
        assert!(attempts[0].error.as_ref().unwrap().contains("503"), "{attempts:#?}");
        has(attempts[1], &[("http.response.status_code", "200"), ("http.request.resend_count", "1")]);
        assert_eq!(attempts[1].error, None);

        no_violations(&receiver);
        let request = &receiver.requests()[0];
        assert_eq!((request.via, &request.headers["x-scope-orgid"]), (via, &"traces".parse().unwrap()));
        let named = if via == Via::Http { "content-encoding" } else { "grpc-encoding" };
        assert_eq!(request.headers.contains_key(named), gzip);
        assert_eq!(traced.metric("flamegate_tracing_spans_total", "").await, 5.0);
        traced.wait_metric("otelcol_exporter_sent_spans_total", exporter, 5.0).await.unwrap();
        assert_eq!(traced.metric("otelcol_exporter_queue_size", exporter).await, 0.0);
        assert_eq!(traced.metric("otelcol_exporter_queue_capacity", exporter).await, 1000.0);
    });
    join_all(cases).await;
}

#[tokio::test]
async fn what_goes_wrong_is_in_the_span_of_where_it_did() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let script = Script::always(Answer::status(StatusCode::UNPROCESSABLE_ENTITY));
    let traced = Traced::start(script, &over_http(&receiver, ALL, "")).await;
    let ingest = |name: &str| format!("{}/ingest?name={name}", traced.url);
    // Refused by the backend, refused here, dropped by a rule, of no route, and over gRPC.
    assert_eq!(post(&ingest("shop"), &[], "main 1\n").await.unwrap().status, 422);
    assert_eq!(post(&ingest("shop"), &[("content-encoding", "br")], "x").await.unwrap().status, 415);
    assert_eq!(post(&ingest("unwanted"), &[], "main 1\n").await.unwrap().status, 200);
    assert_eq!(get(&format!("{}/secret-path", traced.url)).await.unwrap().status, 404);
    let push = PushRequest::one(&[("__name__", "process_cpu"), ("service_name", "shop")], good_profile());
    let grpc = PushClient { protocol: Protocol::Grpc, http2: true, gzip: false };
    assert!(grpc.push(&traced.url, &push).await.unwrap().error.is_some());

    let spans = receiver.wait_for("a span of each request", |spans| servers(spans).len() >= 5).await.unwrap();
    let server = |attribute: &str, value: &str| {
        let found =
            servers(&spans).into_iter().find(|span| span.attributes.get(attribute).is_some_and(|is| is == value));
        found.unwrap_or_else(|| panic!("{attribute} = {value}: {spans:#?}"))
    };
    let refused = server("http.response.status_code", "422");
    assert!(refused.error.as_ref().unwrap().contains("status=422"), "{refused:?}");
    let write = named(&children(&spans, refused), "AppendIngest")[0];
    assert!(write.error.as_ref().unwrap().contains("status=422"), "{write:?}");
    let attempts = children(&spans, write);
    assert_eq!(attempts.len(), 1);
    assert!(attempts[0].attributes["url.full"].ends_with("/ingest"), "the labels are no part of it: {attempts:?}");

    // Not our fault.
    assert_eq!(server("http.response.status_code", "415").error, None);
    assert_eq!(server("http.response.status_code", "415").name, "/ingest");
    let unrouted = server("http.response.status_code", "404");
    assert_eq!((unrouted.name.as_str(), &unrouted.error), ("GET", &None));
    assert!(!unrouted.attributes.contains_key("http.route"));

    let relabels: Vec<&Span> = spans.iter().filter(|span| span.name == "pyroscope.relabel").collect();
    assert_eq!(relabels.len(), 3);
    let dropped = relabels.iter().find(|span| span.attributes["flamegate.series.dropped"] == "1").unwrap();
    let parent = servers(&spans).into_iter().find(|span| span.span_id == dropped.parent).unwrap();
    assert_eq!(children(&spans, parent).len(), 1, "nothing was sent");

    let grpc = server("network.protocol.version", "2");
    has(grpc, &[("http.response.status_code", "200")]);
    assert!(grpc.error.is_some() && grpc.attributes["rpc.response.status_code"] != "0", "{grpc:?}");
    no_violations(&receiver);
}

#[tokio::test]
async fn an_evaluation_of_the_configuration_is_a_trace() {
    let receiver = OtlpReceiver::start().await.unwrap();
    let blocks = over_http(&receiver, ALL, "");
    let traced = Traced::start(Script::judging(), &blocks).await;
    traced.reload(&blocks).await;
    let broken = blocks.clone() + "pyroscope.write \"broken\" {\n  endpoint {\n    url = 1 + 1\n  }\n}\n";
    assert!(traced.flamegate.reload(&broken).await.is_err());
    let roots = |spans: &[Span]| spans.iter().filter(|span| span.name == "GraphEvaluate").count();
    let spans = receiver.wait_for("two evaluations", |spans| roots(spans) >= 2).await.unwrap();
    let roots: Vec<&Span> = spans.iter().filter(|span| span.name == "GraphEvaluate").collect();
    let ids = |root: &Span| {
        let nodes = children(&spans, root);
        assert!(nodes.iter().all(|node| node.name == "EvaluateNode" && node.kind == 1), "{nodes:?}");
        let mut ids: Vec<String> = nodes.iter().map(|node| node.attributes["node_id"].clone()).collect();
        ids.sort();
        ids
    };
    let all = [HTTP, RECEIVE, "pyroscope.relabel.default", WRITE, "tracing"];
    assert_eq!((ids(roots[0]).as_slice(), &roots[0].error), (&all.map(str::to_owned)[..], &None));
    assert!(roots[1].error.is_some(), "{roots:#?}");
    let failed: Vec<&Span> = children(&spans, roots[1]).into_iter().filter(|node| node.error.is_some()).collect();
    assert_eq!(failed.len(), 1, "{spans:#?}");
    assert_eq!(failed[0].attributes["node_id"], "pyroscope.write.broken");
    no_violations(&receiver);
}
