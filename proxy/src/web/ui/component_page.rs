//! `/components/…`: one component, with all that is known of it.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::format::{SHORT, age, number, plain};
use super::overview::{self, Component};
use super::page::{self, Place};
use super::pulse::{History, Key};
use super::{Trust, Ui, live, plot, tap_page};
use crate::graph::Detail;

mod text;

/// What does not stand for itself in a part of a path.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
/// Series of metrics that are shown.
const MOST_METRICS: usize = 200;

/// The page.
pub(super) async fn page(State(ui): State<Ui>, trust: Trust, Path(path): Path<String>, asked: HeaderMap) -> Response {
    let history = ui.pulse.watch().borrow().clone();
    let parts = parts(&ui, &history, &path, trust);
    let status = if parts.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let title = plain(&path, SHORT);
    let main = html! {
        h1 .path { code { (title) } }
        @if parts.is_empty() {
            p .error role="alert" { "There is no such component: " a href="/" { "the overview" } " lists what there is." }
        } @else {
            div #parts data-live={ "/live" (address(&path)) } { @for part in parts { (part) } }
        }
    };
    page::answer(&asked, status, page::page(Place::Component, &title, "live.js", &main))
}

/// What changes.
pub(super) async fn follow(State(ui): State<Ui>, trust: Trust, Path(path): Path<String>) -> Response {
    live::follow(ui, move |ui, history| parts(ui, history, &path, trust))
}

/// To the page of a component.
pub(super) fn link(path: &str) -> Markup {
    html! { a href=(address(path)) { code { (plain(path, SHORT)) } } }
}

/// To the pages of several.
pub(super) fn links(paths: &[String]) -> Markup {
    html! { @for (place, path) in paths.iter().take(8).enumerate() { @if place > 0 { ", " } (link(path)) } @if paths.len() > 8 { ", …" } }
}

pub(super) fn address(path: &str) -> String {
    path.split('/')
        .fold("/components".to_owned(), |above, part| format!("{above}/{}", utf8_percent_encode(part, ESCAPED)))
}

/// None where there is no such component.
fn parts(ui: &Ui, history: &History, path: &str, trust: Trust) -> Vec<Markup> {
    let Some(detail) = ui.controller.graph().detail(path) else { return Vec::new() };
    vec![state(&detail, history), metrics(history, path), inside(&detail, trust)]
}

fn state(detail: &Detail, history: &History) -> Markup {
    let component = Component::of(detail);
    let siblings = |ids: &[String]| -> Vec<String> {
        let module = if detail.module_id.is_empty() { String::new() } else { format!("{}/", detail.module_id) };
        ids.iter().map(|id| format!("{module}{id}")).collect()
    };
    let since = detail.health.since.elapsed().unwrap_or_default();
    html! {
        section #state aria-label="State" {
            div class={ "verdict " (component.class()) } role="status" {
                span .dot {}
                div {
                    strong { (component.word()) }
                    @match &component.wrong {
                        Some(wrong) => {
                            span .faint { " for " (age(Duration::from_secs(wrong.for_seconds))) }
                            p .reason { (plain(&wrong.reason, 600)) }
                        }
                        None => span .faint {
                            " for " (age(since))
                            @if !detail.health.message.is_empty() { ": " (plain(&detail.health.message, 600)) }
                        },
                    }
                    @if component.sends {
                        p {
                            "Sends " b { (history.flow(&component.path).map_or("…".to_owned(), number)) } " profiles/s to "
                            @if component.sends_to.is_empty() { "nobody" }
                            (links(&component.sends_to))
                        }
                    }
                    @if detail.is_on_the_way() { p { a href=(tap_page::address(&component.path)) { "See the profiles that pass" } } }
                    @if !detail.references_to.is_empty() { p .faint { "Refers to " (links(&siblings(&detail.references_to))) } }
                    @if !detail.referenced_by.is_empty() { p .faint { "Referred to by " (links(&siblings(&detail.referenced_by))) } }
                }
            }
        }
    }
}

fn metrics(history: &History, path: &str) -> Markup {
    let of_it: Vec<(&Key, f64, Vec<f64>)> = history.of(path).collect();
    html! {
        section #metrics {
            h2 { "Metrics, the last five minutes" }
            @if of_it.is_empty() { p .faint { "It has none." } }
            @else {
                div .scroll tabindex="0" role="region" aria-label="Metrics" {
                    table .metrics {
                        thead { tr { th { "Metric" } th .right { "Now" } th .right { "Per second" } th { "" } } }
                        tbody {
                            @for (key, value, line) in of_it.iter().take(MOST_METRICS) {
                                tr {
                                    td {
                                        code { (plain(&key.name, SHORT)) }
                                        @for (label, value) in key.labels() {
                                            " " span .label { (plain(label, 40)) "=" (plain(value, 80)) }
                                        }
                                    }
                                    td .right { (number(*value)) }
                                    td .right { @if key.is_counter { (line.last().copied().map_or("…".to_owned(), number)) } @else { "–" } }
                                    td .plot { (plot::spark(line)) }
                                }
                            }
                        }
                    }
                }
                @if of_it.len() > MOST_METRICS { p .faint { "and " (of_it.len() - MOST_METRICS) " more: " a href="/metrics" { "all of them" } } }
            }
        }
    }
}

fn inside(detail: &Detail, trust: Trust) -> Markup {
    let body = |title: &str, body: &[alloy_syntax::EncodedStatement]| {
        html! { @if !body.is_empty() { h2 { (title) } pre tabindex="0" { code { (text::of(body)) } } } }
    };
    html! {
        section #inside {
            @if trust == Trust::Figures { (overview::why_not()) }
            @else {
                (body("What it shows of itself", &detail.debug_info().unwrap_or_default()))
                (body("Arguments", &detail.arguments()))
                (body("Exports", &detail.exports()))
            }
        }
    }
}
