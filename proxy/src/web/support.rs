//! `/-/support`: what whoever helps with a fault asks for, as one archive.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde::Deserialize;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

use self::bundle::{Bundle, BundleError};
use crate::graph::Controller;
use crate::telemetry::recent_logs;

mod bundle;
mod redact;

/// Seconds of logs, unless `duration` says otherwise: the reference's.
const DURATION: u64 = 30;

/// What bundles need besides what runs.
pub struct Support {
    allowed: bool,
    flags: Vec<String>,
    one_at_a_time: Semaphore,
}

impl Support {
    /// For a process with these flags, as they are to be shown. Where it is not `allowed` every request is refused.
    pub fn new(allowed: bool, flags: Vec<String>) -> Self {
        Self { allowed, flags, one_at_a_time: Semaphore::new(1) }
    }
}

#[derive(Deserialize)]
struct Wanted {
    /// Seconds, from 1 to 60.
    duration: Option<String>,
}

pub(super) fn route(support: Support) -> MethodRouter<Arc<Controller>> {
    let support = Arc::new(support);
    get(async move |State(controller): State<Arc<Controller>>, Query(wanted): Query<Wanted>| {
        answer(&controller, &support, wanted.duration.as_deref()).await
    })
}

async fn answer(controller: &Controller, support: &Support, duration: Option<&str>) -> Response {
    if !support.allowed {
        let text = "support bundles are disabled; start without --server.http.disable-support-bundle to enable them\n";
        return (StatusCode::FORBIDDEN, text).into_response();
    }
    let seconds =
        duration.map_or(Some(DURATION), |text| text.parse().ok().filter(|seconds| (1..=60).contains(seconds)));
    let Some(seconds) = seconds else {
        let text = "duration must be a whole number of seconds from 1 to 60\n";
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let Ok(_only) = support.one_at_a_time.try_acquire() else {
        let text = "a support bundle is being collected already; ask again when it is done\n";
        return (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, DURATION.to_string())], text).into_response();
    };
    match collect(controller, support, Duration::from_secs(seconds)).await {
        Ok(zip) => {
            let headers = [
                (header::CONTENT_TYPE, "application/zip"),
                (header::CONTENT_DISPOSITION, "attachment; filename=\"flamegate-support-bundle.zip\""),
            ];
            (headers, zip).into_response()
        }
        Err(error) => {
            tracing::error!(err = %error, "a support bundle could not be collected");
            (StatusCode::INTERNAL_SERVER_ERROR, format!("the support bundle could not be collected: {error}\n"))
                .into_response()
        }
    }
}

/// Two looks at the process, and what it logs between them.
async fn collect(controller: &Controller, support: &Support, duration: Duration) -> Result<Vec<u8>, BundleError> {
    let logs = recent_logs::collect();
    let (metrics, flags, sources) = (controller.metrics()?, support.flags.join("\n"), controller.sources().await);
    // Packing takes a processor for a while: not on a thread that serves.
    let bundle = spawn_blocking(move || Bundle::begin(&metrics, flags, sources)).await??;
    tokio::select! {
        () = tokio::time::sleep(duration) => {}
        () = controller.stopping() => {}
    }
    let (metrics, graph, peers) = (controller.metrics()?, controller.graph(), controller.services().cluster.peers());
    spawn_blocking(move || bundle.end(&metrics, &graph, &peers, &logs.text())).await?
}
