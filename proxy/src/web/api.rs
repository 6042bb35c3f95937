//! `/api/v0/web`: the components and what they do, in the shape of the reference's API.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::component::Health;
use crate::graph::{Controller, Detail, Graph};
use crate::pipeline::Flow;

/// Ends each piece of a stream.
const DELIMITER: &str = "|;|";
/// Seconds between two pieces, unless `window` says otherwise.
const WINDOW: u64 = 5;

pub(super) fn router() -> Router<Arc<Controller>> {
    Router::new()
        .route("/components", get(components))
        .route("/components/{*id}", get(component))
        .route("/modules/{*path}", get(module))
        .route("/peers", get(peers))
        .route("/graph", get(rates))
        .route("/graph/{*module}", get(rates_of_module))
}

async fn peers(State(controller): State<Arc<Controller>>) -> Response {
    Json(controller.services().cluster.peers()).into_response()
}

/// Every component of every module with all that is known, those inside of a component after it.
pub(super) fn everything(graph: &Graph) -> impl Iterator<Item = impl Serialize> {
    graph.all_details().into_iter().map(Component::whole)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Component {
    name: String,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(rename = "localID")]
    local_id: String,
    #[serde(rename = "moduleID")]
    module_id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    label: String,
    references_to: Vec<String>,
    referenced_by: Vec<String>,
    data_flow_edges_to: Vec<String>,
    health: ComponentHealth,
    /// The reference leaves it empty, too.
    original: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    arguments: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    exports: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    debug_info: Option<serde_json::Value>,
    #[serde(rename = "createdModuleIDs", skip_serializing_if = "Vec::is_empty")]
    created_module_ids: Vec<String>,
    live_debugging_enabled: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ComponentHealth {
    state: String,
    message: String,
    updated_time: String,
}

impl From<Health> for ComponentHealth {
    fn from(health: Health) -> Self {
        let updated_time = humantime::format_rfc3339_nanos(health.since).to_string();
        Self { state: health.state.to_string(), message: health.message, updated_time }
    }
}

impl Component {
    /// As it stands in a list.
    fn listed(detail: Detail) -> Self {
        let live_debugging_enabled = detail.live_debugging();
        Self {
            name: detail.name,
            kind: "block",
            local_id: detail.local_id,
            module_id: detail.module_id,
            label: detail.label,
            references_to: detail.references_to,
            referenced_by: detail.referenced_by,
            data_flow_edges_to: detail.data_flow_edges_to,
            health: detail.health.into(),
            original: "",
            arguments: None,
            exports: None,
            debug_info: None,
            created_module_ids: detail.created_module_ids,
            live_debugging_enabled,
        }
    }

    /// With all that is known.
    fn whole(detail: Detail) -> Self {
        let arguments = Some(json::body(&detail.arguments()));
        let exports = Some(json::body(&detail.exports()));
        let debug_info = detail.debug_info().map(|info| json::body(&info));
        Self { arguments, exports, debug_info, ..Self::listed(detail) }
    }
}

async fn components(State(controller): State<Arc<Controller>>) -> Response {
    list(&controller, "").await
}

/// `/modules/{module}/components`
async fn module(State(controller): State<Arc<Controller>>, Path(path): Path<String>) -> Response {
    match path.strip_suffix("/components") {
        Some(module) => list(&controller, module).await,
        None => not_found(&path),
    }
}

async fn list(controller: &Controller, module: &str) -> Response {
    match controller.graph().details(module) {
        Some(details) => Json(details.into_iter().map(Component::listed).collect::<Vec<_>>()).into_response(),
        None => not_found(module),
    }
}

async fn component(State(controller): State<Arc<Controller>>, Path(id): Path<String>) -> Response {
    match controller.graph().detail(&id) {
        Some(detail) => Json(Component::whole(detail)).into_response(),
        None => not_found(&id),
    }
}

fn not_found(id: &str) -> Response {
    (StatusCode::NOT_FOUND, format!("there is no {id}; /api/v0/web/components lists what there is\n")).into_response()
}

#[derive(Deserialize)]
struct Window {
    /// Seconds, from 1 to 60.
    window: Option<String>,
}

/// What went from a component to others in the last window.
#[derive(Serialize)]
struct Rate {
    #[serde(rename = "componentID")]
    component_id: String,
    #[serde(rename = "targetComponentIDs")]
    target_component_ids: Vec<String>,
    #[serde(rename = "type")]
    kind: &'static str,
    /// Profiles a second.
    rate: f64,
}

async fn rates(State(controller): State<Arc<Controller>>, Query(window): Query<Window>) -> Response {
    stream_rates(controller, String::new(), &window).await
}

async fn rates_of_module(
    State(controller): State<Arc<Controller>>,
    Path(module): Path<String>,
    Query(window): Query<Window>,
) -> Response {
    stream_rates(controller, module, &window).await
}

async fn stream_rates(controller: Arc<Controller>, module: String, window: &Window) -> Response {
    let seconds = match window.window.as_deref().unwrap_or_default() {
        "" => Ok(WINDOW),
        text => text.parse().ok().filter(|seconds| (1..=60).contains(seconds)).ok_or(()),
    };
    let Ok(seconds) = seconds else {
        let text = "Invalid window: must be an integer between 1 and 60\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    if !controller.services().live_debugging.is_enabled() {
        let text = "live debugging is disabled; livedebugging { enabled = true } in the configuration enables it\n";
        return (StatusCode::INTERNAL_SERVER_ERROR, text).into_response();
    }
    let Some(before) = controller.graph().flows(&module) else { return not_found(&module) };
    let window = Duration::from_secs(seconds);
    let mut ticks = interval(window);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    let watch = Watch { controller, module, window, ticks, before: before.into_iter().collect() };
    let pieces = stream::unfold(watch, |mut watch| async move {
        let piece = watch.next().await?;
        Some((Ok::<_, Infallible>(piece), watch))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

/// A client that looks at the rates.
struct Watch {
    controller: Arc<Controller>,
    module: String,
    window: Duration,
    ticks: Interval,
    before: BTreeMap<String, Flow>,
}

impl Watch {
    /// What has gone on since the last time; `None` when that may not be looked at any more.
    async fn next(&mut self) -> Option<String> {
        tokio::select! {
            _ = self.ticks.tick() => {}
            () = self.controller.stopping() => return None,
        }
        if !self.controller.services().live_debugging.is_enabled() {
            return None;
        }
        let now: BTreeMap<String, Flow> = self.controller.graph().flows(&self.module)?.into_iter().collect();
        let rates: Vec<Rate> = now.iter().filter_map(|(id, flow)| self.rate(id, flow)).collect();
        self.before = now;
        // Strings and finite numbers always can be written.
        Some(serde_json::to_string(&rates).unwrap_or_default() + DELIMITER)
    }

    fn rate(&self, id: &str, flow: &Flow) -> Option<Rate> {
        let before = self.before.get(id).map_or(0, |before| before.profiles);
        // A component that was built again counts from nothing.
        let profiles = flow.profiles.checked_sub(before).unwrap_or(flow.profiles);
        (profiles > 0).then(|| Rate {
            component_id: id.to_owned(),
            target_component_ids: flow.to.iter().map(ToString::to_string).collect(),
            kind: "pyroscope_profile",
            rate: profiles as f64 / self.window.as_secs_f64(),
        })
    }
}
