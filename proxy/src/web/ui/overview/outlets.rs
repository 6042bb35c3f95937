//! Where profiles go: endpoints, their queues, their backends.

use maud::{Markup, html};

use crate::web::ui::component_page;
use crate::web::ui::format::{SHORT, age, bytes, number, plain};
use crate::web::ui::pulse::{History, Key};

const SENT: &str = "pyroscope_write_sent_profiles_total";
const STATE: &str = "flamegate_write_backend_state";

pub(super) fn table(history: &History) -> Markup {
    let mut endpoints: Vec<&Key> = history.now(SENT).map(|(key, _)| key).collect();
    endpoints.sort_by(|a, b| (&a.component, a.label("endpoint")).cmp(&(&b.component, b.label("endpoint"))));
    html! {
        section #out {
            h2 { "Endpoints" }
            @if endpoints.is_empty() {
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
                        tbody { @for endpoint in endpoints.iter().take(50) { (row(history, endpoint)) } }
                    }
                }
            }
        }
    }
}

fn row(history: &History, endpoint: &Key) -> Markup {
    let same = |key: &Key| key.component == endpoint.component && key.label("endpoint") == endpoint.label("endpoint");
    let value = |name: &'static str| history.now(name).find(|(key, _)| same(key)).map(|(_, value)| value);
    let rate = |name: &str| history.rate(name, same).map_or("…".to_owned(), number);
    let given_up = value("pyroscope_write_dropped_profiles_total").unwrap_or_default();
    let oldest = value("flamegate_write_queue_oldest_age_seconds").unwrap_or_default();
    html! {
        tr {
            td { code { (plain(endpoint.label("endpoint"), SHORT)) } br; (component_page::link(&endpoint.component)) }
            td .right { (rate(SENT)) }
            td .right { (rate("pyroscope_write_retries_total")) }
            td .right { (number(given_up)) }
            td {
                @match value("flamegate_write_queue_records") {
                    None => span .faint { "none" },
                    Some(records) => {
                        @let on_disk = value("flamegate_write_queue_bytes").unwrap_or_default();
                        span .whole { (number(records)) " waiting" } ", " span .whole { (bytes(on_disk)) }
                        @if records > 0.0 { br; span .faint { "the oldest for " (age(std::time::Duration::from_secs_f64(oldest.clamp(0.0, 1e9)))) } }
                    }
                }
            }
            td {
                @for (backend, state) in history.now(STATE).filter(|(key, _)| same(key)).take(50) {
                    @let (class, word) = state_of(state);
                    span class={ "state " (class) } title=(word) {
                        span .dot {} (plain(backend.label("backend"), 60)) span .unseen { " is " (word) }
                    }
                    " "
                }
            }
        }
    }
}

/// As the metric has it.
fn state_of(state: f64) -> (&'static str, &'static str) {
    match state as u8 {
        0 => ("good", "up"),
        1 => ("poor", "left alone after failures"),
        _ => ("bad", "down by its health check"),
    }
}
