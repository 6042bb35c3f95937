//! `/`: what comes in, what goes out, what is lost and why, and what is wrong, at one glance.

use std::collections::BTreeSet;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

use super::format::{SHORT, age, bytes, number, plain};
use super::page::{self, Place};
use super::pulse::History;
use super::{Trust, Ui};
use crate::component::HealthState;
use crate::graph::Detail;

mod losses;
mod outlets;
mod plot;
mod series;

pub(super) use series::{how_to_keep, why_not};

/// Components that are listed.
const MOST_COMPONENTS: usize = 200;

/// The page.
pub(super) async fn page(State(ui): State<Ui>, trust: Trust, asked: HeaderMap) -> Response {
    let history = ui.pulse.watch().borrow().clone();
    let main = html! {
        h1 .unseen { "Overview" }
        div #parts data-live="/live/overview" {
            @for part in parts(&ui, &history, trust) { (part) }
        }
    };
    page::answer(&asked, StatusCode::OK, page::page(Place::Overview, "Overview", "live.js", &main))
}

/// The parts of the page, each with an id of its own.
pub(super) fn parts(ui: &Ui, history: &History, trust: Trust) -> Vec<Markup> {
    let graph = ui.controller.graph();
    let components: Vec<Component> = graph.all_details().into_iter().map(|detail| Component::of(&detail)).collect();
    vec![
        state(&components),
        tiles(history, &components),
        series::busiest(&graph.kept(), trust),
        losses::table(history),
        outlets::table(history),
        table(history, &components),
    ]
}

/// A component at one glance.
struct Component {
    path: String,
    state: HealthState,
    /// What is wrong, where something is.
    wrong: Option<(String, SystemTime)>,
    sends: bool,
    sends_to: Vec<String>,
}

impl Component {
    fn of(detail: &Detail) -> Self {
        let flow = detail.flow();
        let health = &detail.health;
        let wrong = if health.state > HealthState::Unknown {
            Some((health.message.clone(), health.since))
        } else {
            detail.trouble().map(|trouble| (trouble.reason, trouble.since))
        };
        Self {
            path: detail.path(),
            state: health.state,
            wrong,
            sends: flow.is_some(),
            sends_to: flow.map(|flow| flow.to.iter().map(ToString::to_string).collect()).unwrap_or_default(),
        }
    }

    fn class(&self) -> &'static str {
        match (self.state, &self.wrong) {
            (HealthState::Unhealthy | HealthState::Exited, _) => "bad",
            (_, Some(_)) => "poor",
            (HealthState::Unknown, None) => "unknown",
            (HealthState::Healthy, None) => "good",
        }
    }

    fn word(&self) -> &'static str {
        if self.state == HealthState::Healthy && self.wrong.is_some() { "failing" } else { self.state.name() }
    }
}

/// Those that send and that nobody sends to.
fn sources(components: &[Component]) -> Vec<String> {
    let fed: BTreeSet<&String> = components.iter().flat_map(|component| &component.sends_to).collect();
    let sources = components.iter().filter(|component| component.sends && !fed.contains(&component.path));
    sources.map(|component| component.path.clone()).collect()
}

fn state(components: &[Component]) -> Markup {
    let mut failing: Vec<&Component> = components.iter().filter(|component| component.wrong.is_some()).collect();
    failing.sort_by_key(|component| std::cmp::Reverse(component.state));
    html! {
        section #state aria-label="State" {
            @match failing.split_first() {
                None => p .verdict.good { span .dot {} strong { "All is well" } " — " (count(components.len(), "component")) " running" },
                Some((first, others)) => {
                    div class={ "verdict " (first.class()) } role="status" {
                        span .dot {}
                        div {
                            strong { code { (plain(&first.path, SHORT)) } " is " (first.word()) }
                            @if let Some((reason, since)) = &first.wrong {
                                span .faint { " for " (age(since.elapsed().unwrap_or_default())) }
                                p .reason { (plain(reason, 600)) }
                            }
                            @if !others.is_empty() {
                                p .faint { "and " (count(others.len(), "other")) ": " (others.iter().take(5).map(|other| plain(&other.path, 80)).collect::<Vec<_>>().join(", ")) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tiles(history: &History, components: &[Component]) -> Markup {
    let sources = sources(components);
    let came: f64 = sources.iter().filter_map(|source| history.flow(source)).sum();
    let any = |_: &super::pulse::Key| true;
    let received = ["pyroscope_receive_http_request_message_bytes_sum", "pyroscope_scrape_bytes_total"];
    let received: f64 = received.iter().filter_map(|name| history.rate(name, any)).sum();
    let sent = "pyroscope_write_sent_profiles_total";
    let waiting = history.sum("flamegate_write_queue_records");
    let is_known = history.rate(sent, any).is_some();
    let rate = |rate: f64| if is_known { number(rate) } else { "…".to_owned() };
    let tile = |name: &str, figure: Markup, besides: Markup, plot: Markup| {
        html! {
            div .tile {
                h2 { (name) }
                p .figure { (figure) }
                p .faint { (besides) }
                (plot)
            }
        }
    };
    let sent_bytes = history.rate("pyroscope_write_sent_bytes_total", any).unwrap_or_default();
    let lost = losses::rate(history);
    html! {
        section #flow .tiles aria-label="Flow" {
            (tile("In", html! { (rate(came)) small { " profiles/s" } }, html! { @if received > 0.0 { (bytes(received)) "/s · " } (number(history.sent_on(&sources))) " so far" },
                plot::spark(&history.flows(&sources))))
            (tile("Out", html! { (rate(history.rate(sent, any).unwrap_or_default())) small { " profiles/s" } }, html! { @if sent_bytes > 0.0 { (bytes(sent_bytes)) "/s · " } (number(history.sum(sent))) " so far" },
                plot::spark(&history.rates(sent, any))))
            (tile("Waiting", html! { (number(waiting)) small { " in queues" } }, html! { (bytes(history.sum("flamegate_write_queue_bytes"))) " on disk" },
                plot::spark(&history.gauge("flamegate_write_queue_records"))))
            (tile("Dropped", html! { (rate(lost)) small { " /s" } }, html! { (number(losses::total(history))) " so far, reasons below" },
                plot::spark(&losses::rates(history))))
        }
    }
}

fn table(history: &History, components: &[Component]) -> Markup {
    html! {
        section #components {
            h2 { "Components" }
            div .scroll tabindex="0" role="region" aria-label="Components" {
                table {
                    thead { tr { th { "Component" } th { "State" } th .right { "Profiles/s" } th { "Sends to" } } }
                    tbody {
                        @for component in components.iter().take(MOST_COMPONENTS) {
                            tr {
                                td { code { (plain(&component.path, SHORT)) } }
                                td { span class={ "state " (component.class()) } { span .dot {} (component.word()) } }
                                td .right { @if component.sends { (history.flow(&component.path).map_or("…".to_owned(), number)) } @else { "–" } }
                                td .faint { (component.sends_to.iter().take(8).map(|to| plain(to, 80)).collect::<Vec<_>>().join(", ")) }
                            }
                        }
                    }
                }
            }
            @if components.len() > MOST_COMPONENTS {
                p .faint { "and " (components.len() - MOST_COMPONENTS) " more: " a href="/api/v0/web/components" { "all of them" } }
            }
        }
    }
}

/// `1 component`, `2 components`.
fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
