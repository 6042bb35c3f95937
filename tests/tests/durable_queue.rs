//! The durable queue of `pyroscope.write`: what was answered 200 arrives, whatever happens.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "all of this file is test code")]

#[path = "durable_queue/answers.rs"]
mod answers;
#[path = "durable_queue/command.rs"]
mod command;
#[path = "durable_queue/delivery.rs"]
mod delivery;
#[path = "durable_queue/disk.rs"]
mod disk;
#[path = "durable_queue/kill.rs"]
mod kill;
#[path = "durable_queue/limits.rs"]
mod limits;
#[path = "durable_queue/refusals.rs"]
mod refusals;
#[path = "durable_queue/reload.rs"]
mod reload;

use std::collections::HashMap;

use flamegate_tests::backend::{Answer, Backend, Script};
use flamegate_tests::flamegate::Flamegate;
use flamegate_tests::polling::eventually;
use flamegate_tests::push_api::PushRequest;
use flamegate_tests::push_client::{PushClient, PushReply};
use flamegate_tests::spine::{Settings, Spine, good_push};
use http::StatusCode;

/// An endpoint that waits little between attempts, with a queue of these lines.
fn endpoint(queue: &str) -> String {
    format!("min_backoff_period = \"10ms\"\nmax_backoff_period = \"100ms\"\nname = \"q\"\nqueue {{\n{queue}\n}}")
}

/// A backend that is down.
fn down() -> Script {
    Script::always(Answer::status(StatusCode::SERVICE_UNAVAILABLE))
}

async fn spine(queue: &str, script: Script) -> Spine {
    let endpoint = endpoint(queue);
    Spine::start(Settings { endpoint: &endpoint, script, ..Settings::default() }).await.unwrap()
}

/// A good push that is known by its id.
fn push_of(id: &str) -> PushRequest {
    let mut push = good_push();
    push.series[0].samples[0].id = id.to_owned();
    push
}

async fn push(url: &str, request: &PushRequest) -> PushReply {
    PushClient::CONNECT.push(url, request).await.unwrap()
}

async fn taken(url: &str, id: &str) {
    let reply = push(url, &push_of(id)).await;
    assert_eq!(reply.error, None, "{id}");
}

/// Ids in the order in which they arrived.
fn arrived(backend: &Backend) -> Vec<String> {
    let series = backend.received().into_iter();
    series.flat_map(|series| series.profiles).map(|profile| profile.id).collect()
}

/// How often each arrived.
fn counted(backend: &Backend) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for id in arrived(backend) {
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// What a series of the queue shows, all reasons together.
async fn metric(flamegate: &Flamegate, name: &str) -> f64 {
    let metrics = flamegate.metrics().await.unwrap();
    metrics.sum(&format!("flamegate_write_queue_{name}"), &[]).unwrap_or_default()
}

async fn wait_for_metric(flamegate: &Flamegate, name: &str, value: f64) {
    let look = async || (metric(flamegate, name).await == value).then_some(());
    eventually(&format!("{name} is {value}"), look).await.unwrap();
}
