//! What passes, sent on while it does. A client that is slow is told how much it missed.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{Stream, stream};
use maud::html;
use tokio::sync::mpsc;

use super::{is_forbidden, rows};
use crate::tap::{Line, OpenTap, Opening, Row, Seen};
use crate::web::ui::{Ui, live, page};

/// Pieces that wait for a client to take them.
const WAITING: usize = 1;
/// Between two pieces for a page: more often than this nobody reads.
const PACE: Duration = Duration::from_millis(250);
/// So long after the last piece an empty one shows whether the client is still there.
const STILL_THERE: Duration = Duration::from_secs(15);

/// As events whose data are items of the page.
pub(super) fn rows(ui: Ui, tap: OpenTap, many: bool) -> Response {
    let events = pieces(ui, tap, PACE, move |seen: Seen, opening: &mut Opening| {
        if seen.rows.is_empty() && seen.missed == 0 {
            return Event::default().comment("still there");
        }
        let event = Event::default().retry(live::AGAIN).event("rows");
        event.data(html! { p data-missed=(seen.missed) {} (rows::items(&seen.rows, opening, many)) }.into_string())
    });
    let mut answer = match events {
        Ok(events) => Sse::new(events).into_response(),
        Err(full) => return full.into_response(),
    };
    page::protect(answer.headers_mut());
    answer
}

/// As lines of JSON.
pub(super) fn lines(ui: Ui, tap: OpenTap) -> Response {
    let lines = pieces(ui, tap, Duration::ZERO, |seen: Seen, opening: &mut Opening| {
        let mut text = String::new();
        let missed = (seen.missed > 0).then_some(Line::Missed { missed: seen.missed });
        let rows = seen.rows.iter().map(|passed| Line::Row(Box::new(Row::of(passed, opening))));
        for line in missed.into_iter().chain(rows) {
            // Texts and finite numbers always can be written.
            let _ = writeln!(text, "{}", serde_json::to_string(&line).unwrap_or_default());
        }
        if text.is_empty() { Bytes::from_static(b"\n") } else { text.into() }
    });
    let mut answer = match lines {
        Ok(lines) => Body::from_stream(lines).into_response(),
        Err(full) => return full.into_response(),
    };
    page::protect(answer.headers_mut());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    answer
}

type Pieces<T> = Result<T, Infallible>;

/// What is made of all that waits, each time that something does, until the client is gone, the configuration forbids to
/// look, or the process ends.
fn pieces<T: Send + 'static>(
    ui: Ui,
    tap: OpenTap,
    pace: Duration,
    make: impl Fn(Seen, &mut Opening) -> T + Clone + Send + 'static,
) -> Result<impl Stream<Item = Pieces<T>> + Send + 'static, live::Full> {
    let permit = ui.clients.admit()?;
    let (client, receiver) = mpsc::channel(WAITING);
    tokio::spawn(async move {
        tokio::select! {
            () = send(&ui, &tap, pace, make, &client) => {}
            () = client.closed() => {}
            () = ui.controller.stopping() => {}
        }
        drop(permit);
    });
    Ok(stream::unfold(receiver, |mut receiver| async move { Some((Ok(receiver.recv().await?), receiver)) }))
}

async fn send<T: Send + 'static>(
    ui: &Ui,
    tap: &OpenTap,
    pace: Duration,
    make: impl Fn(Seen, &mut Opening) -> T + Clone + Send + 'static,
    client: &mpsc::Sender<T>,
) {
    let mut opening = Opening::default();
    loop {
        // What passes meanwhile waits in the tap, where it is bounded and counted, and not in front of the client.
        let Ok(room) = client.reserve().await else { return };
        let seen = tokio::time::timeout(STILL_THERE, tap.next()).await.unwrap_or_default();
        if is_forbidden(ui) {
            return;
        }
        let make = make.clone();
        // Profiles are opened to tell what is in them.
        let made = tokio::task::spawn_blocking(move || {
            let piece = make(seen, &mut opening);
            (piece, opening)
        });
        let Ok((piece, after)) = made.await else { return };
        opening = after;
        room.send(piece);
        tokio::time::sleep(pace).await;
    }
}
