//! What all pages have in common: head, navigation, headers of the answer.

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flate2::Compression;
use maud::{DOCTYPE, Markup, html};

use super::assets;

/// Nothing from elsewhere, nothing written into the page runs, no other page frames it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
/// Shorter answers are not worth compressing.
const COMPRESSED: usize = 2048;

/// The pages that the navigation leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Overview,
    Graph,
    Profiles,
    Tap,
    Component,
}

/// A whole page.
pub(super) fn page(place: Place, title: &str, script: &str, main: &Markup) -> Markup {
    let link = |to: Place, path, text| {
        html! { a href=(path) aria-current=[(place == to).then_some("page")] { (text) } }
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · Flamegate" }
                link rel="stylesheet" href=(assets::url("style.css"));
                link rel="icon" type="image/svg+xml" href=(assets::url("icon.svg"));
                script type="module" src=(assets::url(script)) {}
            }
            body {
                a .skip href="#main" { "Skip to the content" }
                header .top {
                    a .brand href="/" { (mark()) "Flamegate" }
                    nav aria-label="Pages" {
                        (link(Place::Overview, "/", "Overview"))
                        (link(Place::Graph, "/graph", "Graph"))
                        (link(Place::Profiles, "/profiles", "Flame graphs"))
                        (link(Place::Tap, "/tap", "Tap"))
                    }
                    button #live .live type="button" hidden {}
                }
                main #main { (main) }
            }
        }
    }
}

fn mark() -> Markup {
    html! {
        svg .mark viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" {
            path d="M0 11h16v4H0zM2 6h9v4H2zM5 1h3v4H5z" {}
        }
    }
}

/// A page, or a part of one, as an answer.
pub(super) fn answer(asked: &HeaderMap, status: StatusCode, content: Markup) -> Response {
    let content = content.into_string();
    let takes_gzip = asked
        .get(header::ACCEPT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|accepted| accepted.split(',').any(|one| one.trim() == "gzip"));
    let mut answer = if takes_gzip && content.len() > COMPRESSED {
        let gzip = [(header::CONTENT_ENCODING, "gzip")];
        (status, gzip, assets::gzip(content.as_bytes(), Compression::fast())).into_response()
    } else {
        (status, content).into_response()
    };
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    protect(headers);
    answer
}

/// What keeps an answer from being used by others.
pub(super) fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // Addresses of pages hold labels.
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
}
