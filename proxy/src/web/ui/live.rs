//! What changes while someone looks: parts of a page, sent again when they are others.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use maud::Markup;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::pulse::History;
use super::{Ui, page};

/// Pages that are kept up to date at once; others still are as they were loaded.
const MOST_CLIENTS: usize = 64;
/// Changes that wait for a client to take them.
const WAITING: usize = 2;
/// A client that takes nothing for so long is let go.
const PATIENCE: Duration = Duration::from_secs(30);
/// After so long a browser asks again where the connection broke.
pub(super) const AGAIN: Duration = Duration::from_secs(3);

/// Bounds the pages that are kept up to date.
pub(super) struct Clients(Arc<Semaphore>);

impl Default for Clients {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MOST_CLIENTS)))
    }
}

/// As many pages as can be are kept up to date.
pub(super) struct Full;

impl Clients {
    /// Admits another one, for as long as it has the permit.
    pub(super) fn admit(&self) -> Result<OwnedSemaphorePermit, Full> {
        self.0.clone().try_acquire_owned().map_err(|_| Full)
    }
}

impl IntoResponse for Full {
    fn into_response(self) -> Response {
        let text = "as many pages as can be are kept up to date already: close some, or load this one again\n";
        (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "30")], text).into_response()
    }
}

/// Follows parts of a page, each with an id of its own.
pub(super) fn follow(ui: Ui, parts: impl Fn(&Ui, &History) -> Vec<Markup> + Send + Sync + 'static) -> Response {
    let permit = match ui.clients.admit() {
        Ok(permit) => permit,
        Err(full) => return full.into_response(),
    };
    let (sender, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        tokio::select! {
            () = send(&ui, parts, &sender) => {}
            () = sender.closed() => {}
            () = ui.controller.stopping() => {}
        }
        drop(permit);
    });
    let events = stream::unfold(receiver, |mut receiver| async move {
        let event = receiver.recv().await?;
        Some((Ok::<Event, Infallible>(event), receiver))
    });
    let mut answer = Sse::new(events).into_response();
    page::protect(answer.headers_mut());
    answer
}

/// Sends each part that is not as it was sent last, for as long as the client takes them.
async fn send(ui: &Ui, parts: impl Fn(&Ui, &History) -> Vec<Markup>, client: &mpsc::Sender<Event>) {
    let mut history = ui.pulse.watch();
    let mut shown: Vec<String> = Vec::new();
    loop {
        let current = history.borrow_and_update().clone();
        let made: Vec<String> = parts(ui, &current).into_iter().map(Markup::into_string).collect();
        let changed = made.iter().enumerate().filter(|(place, part)| shown.get(*place) != Some(*part));
        let changed: String = changed.map(|(_, part)| part.as_str()).collect();
        let event = Event::default().retry(AGAIN).event("parts").data(changed);
        if client.send_timeout(event, PATIENCE).await.is_err() || history.changed().await.is_err() {
            return;
        }
        shown = made;
    }
}
