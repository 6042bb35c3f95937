//! The pages for people. Each is HTML that is made here and works without scripts; the scripts ask for parts of the same
//! pages again, and put them in place of what is shown.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::routing::get;

use self::flame_page::Trees;
use self::live::Clients;
use self::pulse::Pulse;
use self::tap_page::Snapshots;
use super::settings::CurrentSettings;
use crate::graph::Controller;

mod assets;
mod component_page;
mod flame_page;
pub(crate) mod format;
mod graph_page;
mod link;
mod live;
mod overview;
mod page;
mod plot;
mod pulse;
mod tap_page;

/// What the pages are made of. Clones share it.
#[derive(Clone)]
pub(super) struct Ui {
    controller: Arc<Controller>,
    settings: Arc<CurrentSettings>,
    pulse: Arc<Pulse>,
    trees: Arc<Trees>,
    clients: Arc<Clients>,
    snapshots: Arc<Snapshots>,
}

impl Ui {
    pub(super) fn new(controller: Arc<Controller>, settings: Arc<CurrentSettings>) -> Self {
        let pulse = Pulse::new(controller.clone());
        Self { controller, settings, pulse, trees: Arc::default(), clients: Arc::default(), snapshots: Arc::default() }
    }

    pub(super) fn router(self) -> Router {
        Router::new()
            .route("/", get(overview::page))
            .route("/live/overview", get(overview::follow))
            .route("/api/v0/web/overview", get(overview::json))
            .route("/components/{*path}", get(component_page::page))
            .route("/live/components/{*path}", get(component_page::follow))
            .route("/graph", get(graph_page::page))
            .route("/live/graph", get(graph_page::follow))
            .route("/tap", get(tap_page::page))
            .route("/live/tap", get(tap_page::follow))
            .route("/api/v0/web/tap", get(tap_page::lines))
            .route("/profiles", get(flame_page::page))
            .route("/profiles/graph", get(flame_page::graph))
            .route("/profiles/pprof", get(flame_page::pprof))
            .route("/profiles/svg", get(flame_page::svg))
            .route("/assets/{name}", get(assets::asset))
            .with_state(self)
    }
}

/// The address of this host that a request came to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival(pub IpAddr);

/// Whether whoever asks may see labels and profiles: on loopback, or after a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    Full,
    /// Neither labels nor profiles.
    Figures,
}

impl FromRequestParts<Ui> for Trust {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, ui: &Ui) -> Result<Self, Self::Rejection> {
        let is_local = parts.extensions.get::<Arrival>().is_some_and(|arrival| arrival.0.to_canonical().is_loopback());
        let knows_who_asks = || ui.settings.auth().is_some_and(|auth| auth.asks_on(parts.uri.path()));
        Ok(if is_local || knows_who_asks() { Self::Full } else { Self::Figures })
    }
}
