//! `/`: what comes in, what goes out, what is lost and why, and what is wrong, at one glance.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::format::{age, bytes, number, plain};
use super::page::{self, Place};
use super::pulse::History;
use super::{Trust, Ui, component_page, live, plot};
pub(super) use crate::overview::Component;
use crate::overview::{First, Flow, Overview, Stream};

mod losses;
mod outlets;
mod series;
mod taken;

pub(super) use losses::by_component;
pub(super) use series::{how_to_keep, why_not};

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

/// All of it as JSON, for programs.
pub(super) async fn json(State(ui): State<Ui>, trust: Trust) -> Response {
    let history = ui.pulse.watch().borrow().clone();
    let kept = ui.controller.graph().kept();
    let busiest = (trust == Trust::Full).then(|| series::told(&kept));
    let mut answer = Json(Overview { busiest, ..taken::overview(&ui, &history) }).into_response();
    page::protect(answer.headers_mut());
    answer
}

/// The parts of the page, each with an id of its own.
fn parts(ui: &Ui, history: &History, trust: Trust) -> Vec<Markup> {
    let overview = taken::overview(ui, history);
    vec![
        state(&overview),
        tiles(&overview.flow),
        series::busiest(&ui.controller.graph().kept(), trust),
        losses::table(&overview.losses),
        outlets::table(&overview.endpoints),
        table(&overview.components),
    ]
}

/// A rate, where it is known.
fn rate(rate: Option<f64>) -> String {
    rate.map_or("…".to_owned(), number)
}

fn state(overview: &Overview) -> Markup {
    html! {
        section #state aria-label="State" {
            @match overview.failing.first.split_first() {
                None => p .verdict.good { span .dot {} strong { "All is well" } " — " (count(overview.components.of, "component")) " running" },
                Some((first, others)) => {
                    div class={ "verdict " (first.class()) } role="status" {
                        span .dot {}
                        div {
                            strong { (component_page::link(&first.path)) " is " (first.word()) }
                            @if let Some(wrong) = &first.wrong {
                                span .faint { " for " (age(Duration::from_secs(wrong.for_seconds))) }
                                p .reason { (plain(&wrong.reason, 600)) }
                            }
                            @if !others.is_empty() {
                                p .faint { "and " (count(overview.failing.of - 1, "other")) ": " (component_page::links(&paths(others))) }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn tiles(flow: &Flow) -> Markup {
    let so_far = |stream: &Stream| {
        let bytes_a_second = stream.bytes_per_second.filter(|bytes| *bytes > 0.0);
        let flow = bytes_a_second.map(|of| format!("{}/s · ", bytes(of))).unwrap_or_default();
        format!("{flow}{} so far", number(stream.total as f64))
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
    let Flow { came, sent, waiting, dropped } = flow;
    let on_disk = format!("{} on disk", bytes(waiting.bytes as f64));
    let reasons = format!("{}, reasons below", so_far(dropped));
    html! {
        section #flow .tiles aria-label="Flow" {
            (tile("In", &rate(came.per_second), "profiles/s", &so_far(came), &came.line))
            (tile("Out", &rate(sent.per_second), "profiles/s", &so_far(sent), &sent.line))
            (tile("Waiting", &number(waiting.records as f64), "in queues", &on_disk, &waiting.line))
            (tile("Dropped", &rate(dropped.per_second), "/s", &reasons, &dropped.line))
        }
    }
}

fn table(components: &First<Component>) -> Markup {
    html! {
        section #components {
            h2 { "Components" }
            div .scroll tabindex="0" role="region" aria-label="Components" {
                table {
                    thead { tr { th { "Component" } th { "State" } th .right { "Profiles/s" } th { "Sends to" } } }
                    tbody {
                        @for component in &components.first {
                            tr {
                                td { (component_page::link(&component.path)) }
                                td { span class={ "state " (component.class()) } { span .dot {} (component.word()) } }
                                td .right { @if component.sends { (rate(component.profiles_per_second)) } @else { "–" } }
                                td .faint { (component_page::links(&component.sends_to)) }
                            }
                        }
                    }
                }
            }
            @if components.left_out() > 0 {
                p .faint { "and " (components.left_out()) " more: " a href="/api/v0/web/components" { "all of them" } }
            }
        }
    }
}

fn paths(components: &[Component]) -> Vec<String> {
    components.iter().map(|component| component.path.clone()).collect()
}

/// `1 component`, `2 components`.
fn count(number: usize, word: &str) -> String {
    format!("{number} {word}{}", if number == 1 { "" } else { "s" })
}
