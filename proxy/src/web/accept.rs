//! The accept loop.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::auth;
use super::connection::Connection;
use super::settings::CurrentSettings;
use super::ui::Arrival;
use crate::telemetry::LogLimit;

/// Connections at once, those in their handshakes among them: a few scrapers and operators.
const CONNECTIONS: usize = 1024;
/// After an error of accept, such as too many open files, wait for some to close.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// What requests in flight are given when the process ends.
const DRAIN: Duration = Duration::from_secs(10);

/// Accepts until `stopping` is done. Each connection goes by the settings at its beginning, each request's
/// authentication by those at its own.
pub(super) async fn serve(
    listener: TcpListener,
    app: Router,
    settings: Arc<CurrentSettings>,
    stopping: impl Future<Output = ()> + Send,
) {
    let app = auth::guard(app, settings.clone());
    let stop = watch::Sender::new(false);
    let mut connections = JoinSet::new();
    let failures = LogLimit::default();
    let mut stopping = pin!(stopping);
    loop {
        while connections.try_join_next().is_some() {}
        let full = connections.len() >= CONNECTIONS;
        tokio::select! {
            biased;
            () = &mut stopping => break,
            _ = connections.join_next(), if full => {}
            accepted = listener.accept(), if !full => match accepted {
                Ok((stream, _)) => {
                    let arrival = stream.local_addr().ok().map(|address| Arrival(address.ip()));
                    let connection = Connection { app: app.clone(), arrival, stop: stop.subscribe() };
                    connections.spawn(connection.serve(stream, settings.tls()));
                }
                Err(error) => {
                    if let Some(line) = failures.admit() {
                        let left_out = line.left_out;
                        tracing::warn!(err = %error, left_out, "a connection to the admin listener could not be accepted");
                    }
                    tokio::time::sleep(ACCEPT_AGAIN).await;
                }
            },
        }
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(DRAIN, drained).await.is_err() {
        tracing::warn!("requests to the admin listener did not finish in time and were cut off");
    }
}
