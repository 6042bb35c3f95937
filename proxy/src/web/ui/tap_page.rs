//! `/tap`: the profiles that pass a component, as they pass; for programs the same as lines of JSON.

use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use form_urlencoded::{Serializer, parse};
use maud::{Markup, PreEscaped, html};

use super::format::{SHORT, age, plain};
use super::link::text;
use super::page::{self, Place};
use super::{Trust, Ui, component_page, overview};
use crate::kept::Selector;
use crate::tap::{OpenTap, Opening, Seen, TooManyTaps, Wanted};

mod rows;
mod snapshots;
mod stream;

pub(super) use snapshots::Snapshots;

/// Rows on a page; the script keeps as many.
const ROWS: usize = 200;
/// Rows that wait for a program: it may want all of them.
const LINES: usize = 2000;

/// Components that are named where another one was asked for.
const MOST_TOLD: usize = 30;

/// To the tap of a component.
pub(super) fn address(component: &str) -> String {
    Asked { component: component.to_owned(), selector: Selector::default() }.address("/tap")
}

/// The page: what passed while somebody looked. Its script follows what passes from then on.
pub(super) async fn page(State(ui): State<Ui>, trust: Trust, RawQuery(query): RawQuery, asked: HeaderMap) -> Response {
    let query = query.unwrap_or_default();
    let components = ui.controller.graph().on_the_way();
    let (status, shown) = match shown(&ui, trust, &query, &components).await {
        Ok(shown) => (StatusCode::OK, shown),
        Err(refusal) => (refusal.status(), refusal.markup()),
    };
    let main = html! {
        h1 .unseen { "Live tap" }
        @if trust == Trust::Full { (form(&query, &components)) }
        (shown)
    };
    page::answer(&asked, status, page::page(Place::Tap, "Live tap", "tap.js", &main))
}

/// What passes, as rows of the page.
pub(super) async fn follow(State(ui): State<Ui>, trust: Trust, RawQuery(query): RawQuery) -> Response {
    match Asked::of(&ui, trust, &query.unwrap_or_default()).and_then(|asked| asked.open(&ui, ROWS)) {
        Ok((tap, many)) => stream::rows(ui, tap, many),
        Err(refusal) => refusal.into_response(),
    }
}

/// What passes, as lines of JSON.
pub(super) async fn lines(State(ui): State<Ui>, trust: Trust, RawQuery(query): RawQuery) -> Response {
    match Asked::of(&ui, trust, &query.unwrap_or_default()).and_then(|asked| asked.open(&ui, LINES)) {
        Ok((tap, _)) => stream::lines(ui, tap),
        Err(refusal) => refusal.into_response(),
    }
}

/// What a request asks for.
struct Asked {
    component: String,
    selector: Selector,
}

/// Why nothing is shown.
enum Refusal {
    /// The query says something that cannot be read.
    Query(String),
    /// Who asks may not see labels.
    Trust,
    /// The configuration says that nobody may look.
    Forbidden,
    /// No profiles pass a component of this path.
    Unknown(String, Vec<String>),
    Busy(TooManyTaps),
}

impl Asked {
    fn of(ui: &Ui, trust: Trust, query: &str) -> Result<Self, Refusal> {
        if trust == Trust::Figures {
            return Err(Refusal::Trust);
        }
        let asked = Self::parse(query).map_err(Refusal::Query)?;
        if is_forbidden(ui) {
            return Err(Refusal::Forbidden);
        }
        let known = ui.controller.graph().on_the_way();
        let inside = |path: &String| {
            path.strip_prefix(&asked.component).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if !asked.component.is_empty() && !known.iter().any(inside) {
            return Err(Refusal::Unknown(asked.component, known));
        }
        Ok(asked)
    }

    fn parse(query: &str) -> Result<Self, String> {
        let mut asked = Self { component: String::new(), selector: Selector::default() };
        for (name, value) in parse(query.as_bytes()) {
            match &*name {
                "component" => asked.component = value.into_owned(),
                "labels" => asked.selector = value.parse().map_err(|error| format!("{error}"))?,
                _ => {}
            }
        }
        Ok(asked)
    }

    fn wanted(&self, rows: usize) -> Wanted {
        Wanted { component: self.component.clone(), selector: self.selector.clone(), rows }
    }

    /// Opens a tap; says besides whether its rows are of several components.
    fn open(&self, ui: &Ui, rows: usize) -> Result<(OpenTap, bool), Refusal> {
        let tap = ui.controller.services().taps.open(self.wanted(rows)).map_err(Refusal::Busy)?;
        Ok((tap, self.is_of_many(ui)))
    }

    fn is_of_many(&self, ui: &Ui) -> bool {
        !ui.controller.graph().on_the_way().contains(&self.component)
    }

    fn address(&self, path: &str) -> String {
        let mut query = Serializer::new(String::new());
        if !self.component.is_empty() {
            query.append_pair("component", &self.component);
        }
        let labels = text(&self.selector);
        if !labels.is_empty() {
            query.append_pair("labels", &labels);
        }
        let query = query.finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

fn is_forbidden(ui: &Ui) -> bool {
    ui.controller.services().live_debugging.is_forbidden()
}

async fn shown(ui: &Ui, trust: Trust, query: &str, components: &[String]) -> Result<Markup, Refusal> {
    let asked = Asked::of(ui, trust, query)?;
    let snapshot = ui.snapshots.look(ui, asked.wanted(ROWS)).map_err(Refusal::Busy)?;
    let many = asked.is_of_many(ui);
    let Seen { rows, missed } = snapshot.seen;
    let drawn = tokio::task::spawn_blocking(move || rows::items(&rows, &mut Opening::default(), many));
    // It fails where drawing panics, which is a fault of ours: the page is there without rows then.
    let drawn = drawn.await.unwrap_or_else(|_| PreEscaped(String::new()));
    let nothing =
        if components.is_empty() { "No component takes or makes profiles." } else { "Nothing has passed yet." };
    Ok(html! {
        section #tap data-live=(asked.address("/live/tap")) aria-label="Profiles" {
            p .summary {
                "Profiles at " @if asked.component.is_empty() { "all components" } @else { (component_page::link(&asked.component)) }
                @let labels = text(&asked.selector);
                @if !labels.is_empty() { " with " code { (plain(&labels, SHORT)) } }
            }
            noscript {
                p .note {
                    @if snapshot.since.as_secs() == 0 { "What passes is remembered from now on: load this page again to see it." }
                    @else { "Shown is what has passed in the last " (age(snapshot.since)) ", at most " (ROWS) " profiles: load this page again for more." }
                }
            }
            p #missed .note hidden[missed == 0] role="status" { @if missed > 0 { (missed) " eldest are not shown." } }
            p #nothing .faint hidden[!drawn.0.is_empty()] { (nothing) }
            ol #rows { (drawn) }
        }
    })
}

fn form(query: &str, components: &[String]) -> Markup {
    let (mut component, mut labels) = (String::new(), String::new());
    for (name, value) in parse(query.as_bytes()) {
        match &*name {
            "component" => component = value.into_owned(),
            "labels" => labels = value.into_owned(),
            _ => {}
        }
    }
    let is_listed = component.is_empty() || components.contains(&component);
    html! {
        form #choice action="/tap" method="get" {
            label {
                span { "Component" }
                select name="component" {
                    option value="" { "All components" }
                    @if !is_listed { option value=(component) selected { (plain(&component, SHORT)) } }
                    @for path in components { option value=(path) selected[*path == component] { (plain(path, SHORT)) } }
                }
            }
            label .wide { span { "Labels" } input name="labels" value=(labels) placeholder="{service_name=\"shop\"}" autocomplete="off" spellcheck="false"; }
            button { "Look" }
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::Query(_) => StatusCode::BAD_REQUEST,
            Self::Trust | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::Unknown(..) => StatusCode::NOT_FOUND,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Query(error) => format!("the labels cannot be read: {error}"),
            Self::Trust => "labels are shown over loopback, or where the configuration asks for a password: give the \
                            http block an auth"
                .to_owned(),
            Self::Forbidden => "the configuration's livedebugging block forbids to look at what passes: \
                                livedebugging { enabled = true } allows it"
                .to_owned(),
            Self::Unknown(component, known) => {
                let mut known: Vec<String> = known.iter().map(|path| plain(path, SHORT)).collect();
                known.truncate(MOST_TOLD);
                format!("no profiles pass {:?}; they pass {}", plain(component, SHORT), known.join(", "))
            }
            Self::Busy(error) => error.to_string(),
        }
    }

    fn markup(&self) -> Markup {
        html! {
            section #tap {
                @match self {
                    Self::Trust => (overview::why_not()),
                    _ => p .error role="alert" { (self.text()) },
                }
            }
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.status(), self.text() + "\n").into_response()
    }
}
