//! `/`: what comes in, what goes out, what is lost and why, and what is wrong, at one glance.

use std::collections::BTreeSet;
use std::time::SystemTime;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};

use super::format::{age, bytes, number, plain};
use super::page::{self, Place};
use super::pulse::History;
use super::{Trust, Ui, component_page, live, plot};
use crate::component::HealthState;
use crate::graph::Detail;

mod losses;
mod outlets;
mod series;

pub(super) use losses::by_component;
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

/// What changes of it.
pub(super) async fn follow(State(ui): State<Ui>, trust: Trust) -> Response {
    live::follow(ui, move |ui, history| parts(ui, history, trust))
}

/// The parts of the page, each with an id of its own.
fn parts(ui: &Ui, history: &History, trust: Trust) -> Vec<Markup> {
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
pub(super) struct Component {
    pub path: String,
    state: HealthState,
    /// What is wrong, where something is, and since when.
    pub wrong: Option<(String, SystemTime)>,
    pub sends: bool,
    pub sends_to: Vec<String>,
}

impl Component {
    pub(super) fn of(detail: &Detail) -> Self {
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

    /// From good to bad.
    pub(super) fn badness(&self) -> u8 {
        match self.class() {
            "good" => 0,
            "unknown" => 1,
            "poor" => 2,
            _ => 3,
        }
    }

    pub(super) fn class(&self) -> &'static str {
        match (self.state, &self.wrong) {
            (HealthState::Unhealthy | HealthState::Exited, _) => "bad",
            (_, Some(_)) => "poor",
            (HealthState::Unknown, None) => "unknown",
            (HealthState::Healthy, None) => "good",
        }
    }

    pub(super) fn word(&self) -> &'static str {
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
                            strong { (component_page::link(&first.path)) " is " (first.word()) }
                            @if let Some((reason, since)) = &first.wrong {
                                span .faint { " for " (age(since.elapsed().unwrap_or_default())) }
                                p .reason { (plain(reason, 600)) }
                            }
                            @if !others.is_empty() {
                                p .faint { "and " (count(others.len(), "other")) ": " (component_page::links(&paths(others))) }
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
    let sent_bytes = history.rate("pyroscope_write_sent_bytes_total", any).unwrap_or_default();
    let so_far = |bytes_a_second: f64, all: f64| {
        let flow = if bytes_a_second > 0.0 { format!("{}/s · ", bytes(bytes_a_second)) } else { String::new() };
        format!("{flow}{} so far", number(all))
    };
    let tile = |name: &str, figure: &str, unit: &str, besides: &str, line: &[f64]| {
        html! {
            div .tile {
                h2 { (name) }
                p .figure { (figure) " " small { (unit) } }
                p .faint { (besides) }
                (plot::spark(line))
            }
        }
    };
    let came_so_far = so_far(received, history.sent_on(&sources));
    let out = rate(history.rate(sent, any).unwrap_or_default());
    let out_so_far = so_far(sent_bytes, history.sum(sent));
    let records = history.gauge("flamegate_write_queue_records");
    let on_disk = format!("{} on disk", bytes(history.sum("flamegate_write_queue_bytes")));
    let (lost, lost_so_far) =
        (rate(losses::rate(history)), format!("{}, reasons below", so_far(0.0, losses::total(history))));
    html! {
        section #flow .tiles aria-label="Flow" {
            (tile("In", &rate(came), "profiles/s", &came_so_far, &history.flows(&sources)))
            (tile("Out", &out, "profiles/s", &out_so_far, &history.rates(sent, any)))
            (tile("Waiting", &number(waiting), "in queues", &on_disk, &records))
            (tile("Dropped", &lost, "/s", &lost_so_far, &losses::rates(history)))
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
                                td { (component_page::link(&component.path)) }
                                td { span class={ "state " (component.class()) } { span .dot {} (component.word()) } }
                                td .right { @if component.sends { (history.flow(&component.path).map_or("…".to_owned(), number)) } @else { "–" } }
                                td .faint { (component_page::links(&component.sends_to)) }
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

fn paths(components: &[&Component]) -> Vec<String> {
    components.iter().map(|component| component.path.clone()).collect()
}

/// `1 component`, `2 components`.
fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
