//! `/graph`: the pipeline as a graph, one level of modules at a time: what goes from where to where, how fast, and how each
//! component is.

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use form_urlencoded::Serializer;
use maud::{Markup, html};
use serde::Deserialize;

use self::level::{Edge, Level, Node};
use super::format::{SHORT, bytes, number, plain};
use super::page::{self, Place};
use super::pulse::History;
use super::{Ui, component_page, live, tap_page};

mod drawing;
mod layout;
mod level;

/// Components that are listed.
const MOST_LISTED: usize = 200;

/// Which level is shown.
#[derive(Deserialize)]
pub(super) struct Shown {
    /// The path of a component with others inside; empty for the outermost level.
    #[serde(default, rename = "in")]
    inside: String,
}

/// The page.
pub(super) async fn page(State(ui): State<Ui>, Query(shown): Query<Shown>, asked: HeaderMap) -> Response {
    let history = ui.pulse.watch().borrow().clone();
    let parts = parts(&ui, &history, &shown.inside);
    let status = if parts.is_empty() { StatusCode::NOT_FOUND } else { StatusCode::OK };
    let main = html! {
        h1 .unseen { "Pipeline" }
        @if !shown.inside.is_empty() { (trail(&shown.inside)) }
        @if parts.is_empty() {
            p .error role="alert" { "There is nothing inside of such a component: " a href="/graph" { "the whole pipeline" } "." }
        } @else {
            div #parts data-live=(level_address("/live/graph", &shown.inside)) { @for part in parts { (part) } }
        }
    };
    page::answer(&asked, status, page::page(Place::Graph, "Pipeline", "live.js", &main))
}

/// What changes of it.
pub(super) async fn follow(State(ui): State<Ui>, Query(shown): Query<Shown>) -> Response {
    live::follow(ui, move |ui, history| parts(ui, history, &shown.inside))
}

/// To the level inside of a component.
fn level_address(path: &str, inside: &str) -> String {
    if inside.is_empty() {
        return path.to_owned();
    }
    format!("{path}?{}", Serializer::new(String::new()).append_pair("in", inside).finish())
}

/// From the outermost level to this one.
fn trail(inside: &str) -> Markup {
    let mut path = String::new();
    let steps: Vec<(&str, String)> = inside
        .split('/')
        .map(|step| {
            path = if path.is_empty() { step.to_owned() } else { format!("{path}/{step}") };
            (step, path.clone())
        })
        .collect();
    let last = steps.len().saturating_sub(1);
    html! {
        nav .trail aria-label="Levels" {
            a href="/graph" { "Pipeline" }
            @for (place, (step, path)) in steps.iter().enumerate() {
                " / "
                @if place == last { code { (plain(step, SHORT)) } }
                @else { a href=(level_address("/graph", path)) { code { (plain(step, SHORT)) } } }
            }
        }
    }
}

/// None where there is no such level.
fn parts(ui: &Ui, history: &History, inside: &str) -> Vec<Markup> {
    let details = ui.controller.graph().all_details();
    let level = Level::of(&details, history, inside);
    if level.nodes.is_empty() && !inside.is_empty() {
        Vec::new()
    } else {
        vec![drawing::pipeline(&level), list(&level)]
    }
}

fn list(level: &Level) -> Markup {
    html! {
        section #components {
            h2 { "Components" }
            @if level.nodes.is_empty() { p .faint { "None is configured." } }
            @else {
                div .scroll tabindex="0" role="region" aria-label="Components" {
                    table {
                        thead { tr { th { "Component" } th { "State" } th { "Sends to" } th .right { "Dropped" } th { "" } } }
                        tbody { @for (place, node) in level.nodes.iter().enumerate().take(MOST_LISTED) { (row(level, place, node)) } }
                    }
                }
                @if level.nodes.len() > MOST_LISTED {
                    p .faint { "and " (level.nodes.len() - MOST_LISTED) " more: " a href="/api/v0/web/components" { "all of them" } }
                }
            }
        }
    }
}

fn row(level: &Level, place: usize, node: &Node) -> Markup {
    let leaves: Vec<&Edge> = level.edges.iter().filter(|edge| edge.from == place && edge.carries.is_some()).collect();
    html! {
        tr {
            td {
                a href=(address(node)) { code { (plain(&node.path, SHORT)) } }
                @if node.components > 1 { " " span .faint { "with " (node.components) " inside" } }
                @if node.is_outside { " " span .faint { "outside" } }
            }
            td { span class={ "state " (node.class) } { span .dot {} (node.word) } }
            td {
                @for (place, edge) in leaves.iter().take(8).enumerate() {
                    @if place > 0 { br; }
                    @if let Some(to) = level.nodes.get(edge.to) {
                        (plain(&to.name(), SHORT)) " " span .faint { (rate(edge)) }
                    }
                }
                @if leaves.len() > 8 { br; "…" }
            }
            td .right { @if node.lost > 0.0 { (number(node.lost)) @if node.losing > 0.0 { ", " (number(node.losing)) "/s" } } @else { "–" } }
            td { @if node.takes_part { a href=(tap_page::address(&node.path)) aria-label={ "tap " (plain(&node.path, SHORT)) } { "tap" } } }
        }
    }
}

/// Where a node leads.
fn address(node: &Node) -> String {
    if node.has_inside { level_address("/graph", &node.path) } else { component_page::address(&node.path) }
}

/// What an edge carries, a second.
fn rate(edge: &Edge) -> String {
    match edge.carries.flatten() {
        Some(carried) => format!("{}/s · {}/s", number(carried.profiles), bytes(carried.bytes)),
        None => "…".to_owned(),
    }
}
