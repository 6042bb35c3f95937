//! Where profiles go: endpoints, their queues, their backends.

use std::time::Duration;

use maud::{Markup, html};

use super::rate;
use crate::overview::{Backend, BackendState, Endpoint, First, Queue};
use crate::web::ui::component_page;
use crate::web::ui::format::{SHORT, age, bytes, cut, number, plain};
use crate::web::ui::pulse::{History, Key};

const SENT: &str = "pyroscope_write_sent_profiles_total";
const STATE: &str = "flamegate_write_backend_state";
/// Endpoints that are listed, and backends of each.
const MOST: usize = 50;
/// Letters of a backend in a page.
const ADDRESS: usize = 60;

/// By their components.
pub(super) fn all(history: &History) -> First<Endpoint> {
    let mut endpoints: Vec<&Key> = history.now(SENT).map(|(key, _)| key).collect();
    endpoints.sort_by(|a, b| (&a.component, a.label("endpoint")).cmp(&(&b.component, b.label("endpoint"))));
    First::cut(endpoints.into_iter().map(|endpoint| one(history, endpoint)), MOST)
}

fn one(history: &History, endpoint: &Key) -> Endpoint {
    let same = |key: &Key| key.component == endpoint.component && key.label("endpoint") == endpoint.label("endpoint");
    let value = |name: &'static str| history.now(name).find(|(key, _)| same(key)).map(|(_, value)| value as u64);
    let queue = value("flamegate_write_queue_records").map(|records| Queue {
        records,
        bytes: value("flamegate_write_queue_bytes").unwrap_or_default(),
        oldest_seconds: value("flamegate_write_queue_oldest_age_seconds").unwrap_or_default(),
    });
    let backends = history.now(STATE).filter(|(key, _)| same(key)).take(MOST);
    Endpoint {
        component: endpoint.component.clone(),
        endpoint: cut(endpoint.label("endpoint"), SHORT),
        sent_per_second: history.rate(SENT, same),
        retries_per_second: history.rate("pyroscope_write_retries_total", same),
        given_up: value("pyroscope_write_dropped_profiles_total").unwrap_or_default(),
        queue,
        backends: backends
            .map(|(key, state)| Backend {
                backend: cut(key.label("backend"), SHORT),
                state: BackendState::of_metric(state),
            })
            .collect(),
    }
}

pub(super) fn table(endpoints: &First<Endpoint>) -> Markup {
    html! {
        section #out {
            h2 { "Endpoints" }
            @if endpoints.first.is_empty() {
                p .faint { "Nothing is sent to a backend: no " code { "pyroscope.write" } " has an " code { "endpoint" } "." }
            } @else {
                div .scroll tabindex="0" role="region" aria-label="Endpoints" {
                    table {
                        thead {
                            tr {
                                th { "Endpoint" } th .right { "Sent/s" } th .right { "Retries/s" } th .right { "Given up" }
                                th { "Queue" } th { "Backends" }
                            }
                        }
                        tbody { @for endpoint in &endpoints.first { (row(endpoint)) } }
                    }
                }
            }
        }
    }
}

fn row(endpoint: &Endpoint) -> Markup {
    html! {
        tr {
            td { code { (plain(&endpoint.endpoint, SHORT)) } br; (component_page::link(&endpoint.component)) }
            td .right { (rate(endpoint.sent_per_second)) }
            td .right { (rate(endpoint.retries_per_second)) }
            td .right { (number(endpoint.given_up as f64)) }
            td {
                @match &endpoint.queue {
                    None => span .faint { "none" },
                    Some(queue) => {
                        span .whole { (number(queue.records as f64)) " waiting" } ", " span .whole { (bytes(queue.bytes as f64)) }
                        @if queue.records > 0 { br; span .faint { "the oldest for " (age(Duration::from_secs(queue.oldest_seconds))) } }
                    }
                }
            }
            td {
                @for Backend { backend, state } in &endpoint.backends {
                    span class={ "state " (state.severity().class()) } title=(state.words()) {
                        span .dot {} (plain(backend, ADDRESS)) span .unseen { " is " (state.words()) }
                    }
                    " "
                }
            }
        }
    }
}
