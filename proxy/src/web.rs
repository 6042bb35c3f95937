//! The admin listener: readiness, health, reload, metrics, the API, the pages for people.
//!
//! It is bound once. How it speaks and to whom it answers is [`CurrentSettings`], which a reload replaces.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::graph::Controller;

mod accept;
mod api;
mod auth;
mod connection;
mod hosts;
mod idle;
mod settings;
mod support;
#[cfg(test)]
mod tests;
pub(crate) mod ui;

pub use hosts::Hosts;
pub use settings::{AdminSettings, CurrentSettings};
pub use support::Support;

/// Serves until `stopping` is done; requests in flight finish, within a deadline.
pub async fn serve(
    listener: TcpListener,
    controller: Arc<Controller>,
    settings: Arc<CurrentSettings>,
    hosts: Hosts,
    support: Support,
    stopping: impl Future<Output = ()> + Send,
) {
    let app = router(controller, settings.clone(), hosts, support);
    accept::serve(listener, app, settings, stopping).await;
}

fn router(controller: Arc<Controller>, settings: Arc<CurrentSettings>, hosts: Hosts, support: Support) -> Router {
    let ui = ui::Ui::new(controller.clone(), settings).router();
    // Probes and scrapers come under any name: what they are told says nothing of profiles.
    let for_people = Router::new()
        .route("/-/support", support::route(support))
        .nest("/api/v0/web", api::router())
        .with_state(controller.clone())
        .merge(ui)
        .layer(from_fn_with_state(hosts.clone(), hosts::admit));
    Router::new()
        .route("/-/ready", get(ready))
        .route("/-/healthy", get(healthy))
        .route("/-/reload", get(reload_by_get).post(reload))
        .route("/metrics", get(metrics))
        .with_state(controller)
        .merge(for_people)
        .layer(from_fn_with_state(hosts, hosts::same_origin))
}

async fn ready(State(controller): State<Arc<Controller>>) -> Response {
    if controller.is_ready() {
        (StatusCode::OK, "Flamegate is ready.\n").into_response()
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, "Flamegate is not ready.\n").into_response()
    }
}

async fn healthy(State(controller): State<Arc<Controller>>) -> Response {
    let unhealthy = controller.graph().unhealthy();
    if unhealthy.is_empty() {
        return (StatusCode::OK, "All Flamegate components are healthy.\n").into_response();
    }
    (StatusCode::INTERNAL_SERVER_ERROR, format!("unhealthy components: {}\n", unhealthy.join(", "))).into_response()
}

async fn reload(State(controller): State<Arc<Controller>>) -> Response {
    match controller.load().await {
        Ok(diff) => {
            tracing::info!(%diff, "config reloaded");
            (StatusCode::OK, "config reloaded\n").into_response()
        }
        Err(error) => {
            tracing::error!(err = %error, "failed to reload config");
            (StatusCode::BAD_REQUEST, error.render(false)).into_response()
        }
    }
}

async fn reload_by_get() -> Response {
    let allow = [(header::ALLOW, "POST")];
    (StatusCode::METHOD_NOT_ALLOWED, allow, "reloading changes what runs: POST to /-/reload\n").into_response()
}

async fn metrics(State(controller): State<Arc<Controller>>) -> Response {
    match controller.metrics() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}
