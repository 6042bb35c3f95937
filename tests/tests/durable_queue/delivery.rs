//! What goes in comes out, in order and as it was.

use std::time::Duration;

use flamegate_tests::backend::{Api, Backend, Script, Verdict};
use flamegate_tests::blocks::{self, ReceiveHttp};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::http_client::post;
use flamegate_tests::polling::{DEADLINE, eventually};
use flamegate_tests::push_api::{PushRequest, RawProfileSeries};
use flamegate_tests::push_client::PushClient;
use flamegate_tests::spine::{RECEIVE, good_profile};
use prost::Message;

use super::{arrived, down, endpoint, metric, push, push_of, spine, taken, wait_for_metric};

#[tokio::test]
async fn an_outage_is_not_noticed_and_the_order_holds() {
    let spine = spine("", down()).await;
    let ids: Vec<String> = (0..200).map(|number| format!("{number:03}")).collect();
    for id in &ids {
        taken(&spine.url, id).await;
    }
    wait_for_metric(&spine.flamegate, "records", 200.0).await;
    assert_eq!(arrived(&spine.backend), Vec::<String>::new());
    spine.backend.follow(Script::judging());
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    let arrived = arrived(&spine.backend);
    let mut sorted = arrived.clone();
    sorted.sort();
    assert_eq!(sorted, ids, "each once");
    // Each sender had one when the endpoint was down; the others were sent together, up to 64 at a time.
    let place = |id: &String| arrived.iter().position(|other| other == id).unwrap();
    for (before, id) in ids.iter().enumerate().skip(8) {
        assert!(place(id).abs_diff(before) <= 8 * 64, "{id} came {}th", place(id));
    }
    let requests = spine.backend.attempts();
    let taken = requests.iter().filter(|attempt| matches!(attempt.verdict, Verdict::Taken(_))).count();
    assert!(taken <= 8 + 8, "{taken} requests for 200 profiles");
    assert_eq!(metric(&spine.flamegate, "acknowledged_total").await, 200.0);
}

#[tokio::test]
async fn a_request_is_one_record_and_arrives_as_one() {
    let spine = spine("", down()).await;
    let series: Vec<RawProfileSeries> = (0..5).flat_map(|number| push_of(&number.to_string()).series).collect();
    assert_eq!(push(&spine.url, &PushRequest { series }).await.error, None);
    wait_for_metric(&spine.flamegate, "records", 1.0).await;
    assert!(metric(&spine.flamegate, "bytes").await > 5.0 * good_profile().len() as f64);
    spine.backend.follow(Script::judging());
    wait_for_metric(&spine.flamegate, "records", 0.0).await;
    assert_eq!(arrived(&spine.backend), ["0", "1", "2", "3", "4"]);
    let took = spine.backend.attempts().into_iter().filter_map(|attempt| match attempt.verdict {
        Verdict::Taken(series) => Some(series.len()),
        _ => None,
    });
    assert_eq!(took.collect::<Vec<_>>(), [5]);
}

/// A receiver that forwards a header, and a queue whose endpoint finds tenants in a label.
fn configuration(backend: &Backend) -> String {
    let receive = ReceiveHttp {
        label: "default",
        settings: "forward_headers = [\"X-Scope-OrgID\", \"X-Other\"]",
        writes: &["default"],
        ..ReceiveHttp::default()
    };
    let endpoint = endpoint("") + "\ntenant_label = \"tenant\"";
    receive.block() + &blocks::write("default", &[backend.url()], &endpoint)
}

#[tokio::test]
async fn what_a_delivery_needs_outlives_the_process() {
    let dead = Backend::start_with(down()).await.unwrap();
    let flamegate = Flamegate::start(&configuration(&dead), &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    let labels = [("__name__", "process_cpu"), ("service_name", "shop"), ("tenant", "of-the-label")];
    let with_label = PushRequest::one(&labels, good_profile());
    let sent = [push_of("of-the-header"), with_label];
    for request in &sent {
        let headers = [("x-scope-orgid", "of-the-header"), ("x-other", "x"), ("x-third", "y")];
        let reply = PushClient::CONNECT.send(&url, &request.encode_to_vec(), &headers).await.unwrap();
        assert_eq!(reply.error, None);
    }
    let query = "name=shop%7Ba=b%7D&from=1&format=folded&units=samples";
    let headers = [("content-type", "text/x-strange"), ("x-scope-orgid", "of-the-header")];
    assert_eq!(post(&format!("{url}/ingest?{query}"), &headers, "main 1\n").await.unwrap().status, 200);

    let folder = flamegate.into_folder(Duration::from_secs(20)).await.unwrap();
    let backend = Backend::start().await.unwrap();
    let flamegate = Flamegate::start_in(folder, &configuration(&backend), &[]).await.unwrap();
    eventually("all three arrived", async || (backend.received().len() == 3).then_some(())).await.unwrap();
    wait_for_metric(&flamegate, "records", 0.0).await;
    let received = backend.received();
    let tenant = |index: usize| received[index].headers["x-scope-orgid"].to_str().unwrap().to_owned();
    let found = |api: Api, tenant_is: &str| {
        (0..3).find(|index| received[*index].api == api && tenant(*index) == tenant_is).map(|index| &received[index])
    };
    let (header, label) = (found(Api::Push, "of-the-header").unwrap(), found(Api::Push, "of-the-label").unwrap());
    assert_eq!(header.profiles[0].id, "of-the-header");
    for series in [header, label] {
        assert_eq!(series.headers["x-other"], "x");
        assert!(!series.headers.contains_key("x-third"));
        assert!(sent.iter().any(|request| request.series[0].samples[0].raw_profile == series.profiles[0].raw));
    }
    let ingested = found(Api::Ingest, "of-the-header").unwrap();
    assert_eq!(ingested.headers["content-type"], "text/x-strange");
    assert_eq!((ingested.query_value("from"), &ingested.body[..]), (Some("1"), &b"main 1\n"[..]));
    assert_eq!(ingested.labels["a"], "b");
}

/// One endpoint with a queue and one without: the sender waits for the second, and hears of both.
#[tokio::test]
async fn beside_an_endpoint_without_a_queue() {
    let (queued, direct) = (Backend::start_with(down()).await.unwrap(), Backend::start().await.unwrap());
    let receive = ReceiveHttp { label: "default", writes: &["default"], ..ReceiveHttp::default() }.block();
    let (one, other) = (blocks::write("default", &[queued.url()], &endpoint("")), direct.url());
    let (block, _) = one.rsplit_once('}').unwrap();
    let configuration = format!("{receive}{block}\n  endpoint {{\n    url = \"{other}\"\n  }}\n}}\n");
    let flamegate = Flamegate::start(&configuration, &[]).await.unwrap();
    let url = format!("http://{}", flamegate.listener(RECEIVE).await.unwrap());
    taken(&url, "1").await;
    assert_eq!(arrived(&direct), ["1"]);
    queued.follow(Script::judging());
    queued.wait_for(|series| series.profiles[0].id == "1", DEADLINE).await.unwrap();
    direct.follow(Script::always(flamegate_tests::backend::Answer::status(http::StatusCode::BAD_REQUEST)));
    assert_eq!(push(&url, &push_of("2")).await.status, 400);
    queued.wait_for(|series| series.profiles[0].id == "2", DEADLINE).await.unwrap();
}
