//! `/profiles`: flame graphs of what components keep.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};
use profiler_core::flame::Side;
use profiler_core::pprof::gzip;
use prost::Message;

use self::choice::Group;
use self::merge::Merged;
use super::link::{Compare, Link};
use super::page::{self, Place};
use super::{Trust, Ui, overview};
use crate::kept::{Selector, Store};

mod choice;
mod drawing;
mod merge;
mod table;

pub(super) use merge::Trees;

/// What a request asks for.
struct Asked {
    /// With all that the page has chosen where the query does not say it.
    link: Link,
    views: Vec<(String, Arc<Store>)>,
    groups: Vec<Group>,
    merged: Arc<Merged>,
}

/// Why there is nothing to be shown.
enum Refusal {
    /// The query says something that cannot be read.
    Query(String),
    /// Who asks may not see it.
    Trust,
    /// Nothing is kept.
    Nothing,
    /// Too many ask at once.
    Busy,
}

impl Asked {
    async fn of(ui: &Ui, trust: Trust, query: Option<&str>) -> Result<Self, Refusal> {
        if trust == Trust::Figures {
            return Err(Refusal::Trust);
        }
        let mut link = Link::parse(query.unwrap_or_default()).map_err(|error| Refusal::Query(error.to_string()))?;
        let views = ui.controller.graph().kept();
        let wanted = views.iter().position(|(view, _)| *view == link.view).unwrap_or_default();
        let (view, store) = views.get(wanted).ok_or(Refusal::Nothing)?;
        link.view.clone_from(view);
        link.range = link.range.fixed();
        let groups = Group::all(&store.series_since(SystemTime::UNIX_EPOCH));
        if link.series.is_none() {
            link.series = groups.first().map(|group| group.selector.clone());
        }
        let merged = ui.trees.merged(&ui.controller, store, &link).await.ok_or(Refusal::Busy)?;
        link.kind.clone_from(&merged.of.kind);
        Ok(Self { link, views, groups, merged })
    }

    fn controls(&self, query: Option<&str>) -> Markup {
        // Of the time as it was asked for: "the last five minutes" stays that.
        let range = Link::parse(query.unwrap_or_default()).unwrap_or_default().range;
        choice::form(&self.link, range, &self.views, &self.groups, &self.merged)
    }

    fn graph(&self) -> Markup {
        let Self { link, merged, .. } = self;
        html! {
            section #graph data-page=(Link { path: "/profiles", ..link.clone() }) aria-label="Profile" {
                (choice::summary(merged))
                (choice::tools(link, merged))
                @if merged.tree.is_empty() { (choice::empty(merged, self.groups.is_empty())) }
                @else {
                    (drawing::graph(link, merged))
                    (table::table(link, merged))
                }
            }
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::Trust => StatusCode::FORBIDDEN,
            Self::Nothing => StatusCode::NOT_FOUND,
            Self::Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn text(&self) -> Markup {
        html! {
            section #graph {
                @match self {
                    Self::Query(error) => p .error role="alert" { "The labels cannot be read: " (error) },
                    Self::Trust => (overview::why_not()),
                    Self::Nothing => (overview::how_to_keep()),
                    Self::Busy => p .error role="alert" { "Other flame graphs are being made: load this page again in some seconds." },
                }
            }
        }
    }
}

/// The page.
pub(super) async fn page(State(ui): State<Ui>, trust: Trust, asked: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let with_menu = |of: Asked, query: Option<&str>| html! { (of.controls(query)) (of.graph()) };
    let (status, parts) = match drawn(&ui, trust, query, with_menu).await {
        Ok(parts) => (StatusCode::OK, parts),
        // Where there is nothing yet the page itself is there.
        Err(refusal @ Refusal::Nothing) => (StatusCode::OK, refusal.text()),
        Err(refusal) => (refusal.status(), refusal.text()),
    };
    let main = html! { h1 .unseen { "Flame graphs" } (parts) };
    page::answer(&asked, status, page::page(Place::Profiles, "Flame graphs", "flame.js", &main))
}

/// The graph and its table alone.
pub(super) async fn graph(State(ui): State<Ui>, trust: Trust, asked: HeaderMap, RawQuery(query): RawQuery) -> Response {
    match drawn(&ui, trust, query, |of, _| of.graph()).await {
        Ok(parts) => page::answer(&asked, StatusCode::OK, parts),
        Err(refusal) => page::answer(&asked, refusal.status(), refusal.text()),
    }
}

/// Drawing goes through all of a tree: not on a thread that serves.
async fn drawn(
    ui: &Ui,
    trust: Trust,
    query: Option<String>,
    draw: impl FnOnce(Asked, Option<&str>) -> Markup + Send + 'static,
) -> Result<Markup, Refusal> {
    let asked = Asked::of(ui, trust, query.as_deref()).await?;
    let drawing = ui.controller.services().filters.aside(move || draw(asked, query.as_deref()));
    drawing.await.ok_or(Refusal::Busy)
}

/// What is shown, as one pprof.
pub(super) async fn pprof(State(ui): State<Ui>, trust: Trust, asked: HeaderMap, RawQuery(query): RawQuery) -> Response {
    let made = |merged: &Merged| {
        let message = merged.tree.to_pprof(&merged.of, Side::Shown).encode_to_vec();
        // Writing to memory does not fail.
        gzip(&message).unwrap_or_default()
    };
    download(&ui, trust, &asked, query.as_deref(), "application/octet-stream", "profile.pb.gz", made).await
}

/// What is shown, as a picture with a script of its own: for a file, not for this page.
pub(super) async fn svg(State(ui): State<Ui>, trust: Trust, asked: HeaderMap, RawQuery(query): RawQuery) -> Response {
    download(&ui, trust, &asked, query.as_deref(), "image/svg+xml", "profile.svg", drawing::svg).await
}

async fn download(
    ui: &Ui,
    trust: Trust,
    headers: &HeaderMap,
    query: Option<&str>,
    content_type: &'static str,
    file: &'static str,
    made: impl FnOnce(&Merged) -> Vec<u8> + Send + 'static,
) -> Response {
    let asked = match Asked::of(ui, trust, query).await {
        Ok(asked) => asked,
        Err(refusal) => return page::answer(headers, refusal.status(), refusal.text()),
    };
    let Some(bytes) = ui.controller.services().filters.aside(move || made(&asked.merged)).await else {
        return page::answer(headers, StatusCode::SERVICE_UNAVAILABLE, Refusal::Busy.text());
    };
    let disposition = format!("attachment; filename=\"{file}\"");
    let said: [(HeaderName, &str); 2] =
        [(header::CONTENT_TYPE, content_type), (header::CONTENT_DISPOSITION, &disposition)];
    let mut answer = (said, bytes).into_response();
    page::protect(answer.headers_mut());
    answer
}

/// The time that is compared with, where it is another one.
fn before(link: &Link) -> (SystemTime, SystemTime) {
    let (from, until) = link.range.times();
    let long = until.duration_since(from).unwrap_or_default();
    let begin = from.checked_sub(long).unwrap_or(SystemTime::UNIX_EPOCH);
    // A profile that came at the border belongs to what is shown.
    (begin, from.checked_sub(Duration::from_millis(1)).unwrap_or(begin))
}

/// The series that are compared with.
fn others(link: &Link) -> Selector {
    let series = link.series.clone().unwrap_or_default();
    match &link.compare {
        Compare::With(selector) => series.and(selector),
        Compare::Before | Compare::Nothing => series.and(&link.labels),
    }
}
