//! Tells when a connection that may have many requests has none.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use hyper::body::Incoming;
use tokio::sync::watch;
use tower_service::Service;

use super::ui::Arrival;

/// How many requests of a connection wait for their answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Activity(watch::Sender<usize>);

impl Activity {
    /// Returns when there was no request for so long.
    pub(super) async fn idle_for(self, silence: Duration) {
        let mut open = self.0.subscribe();
        loop {
            let idle = *open.borrow_and_update() == 0;
            // The sender is this very value: it does not go away.
            let change = open.changed();
            if !idle {
                let _changed = change.await;
            } else if tokio::time::timeout(silence, change).await.is_err() {
                return;
            }
        }
    }

    fn begin(&self) -> Open {
        self.0.send_modify(|open| *open += 1);
        Open(self.0.clone())
    }
}

/// A request that waits for its answer.
struct Open(watch::Sender<usize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

/// An app whose requests are counted.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    app: Router,
    activity: Activity,
    arrival: Option<Arrival>,
}

impl Counted {
    pub(super) fn new(app: Router, activity: &Activity, arrival: Option<Arrival>) -> Self {
        Self { app, activity: activity.clone(), arrival }
    }
}

impl Service<Request<Incoming>> for Counted {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Service::<Request<Incoming>>::poll_ready(&mut self.app, context)
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        if let Some(arrival) = self.arrival {
            request.extensions_mut().insert(arrival);
        }
        let (open, answer) = (self.activity.begin(), self.app.call(request));
        async move {
            let answer = answer.await;
            drop(open);
            answer
        }
        .boxed()
    }
}
