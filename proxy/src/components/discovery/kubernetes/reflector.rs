//! Lists the objects of a part and follows their changes, without end.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use kube::runtime::watcher::{self, Event};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::time::sleep;

use super::cluster::{News, Object};
use super::transport::{Heard, TransportError};
use crate::upstream::Backoff;

/// The reference's.
const BACKOFF: Backoff = Backoff { min: Duration::from_millis(800), max: Duration::from_secs(30), attempts: 0 };
/// The longest that a server is left alone on its own word.
const LONGEST_REST: Duration = Duration::from_secs(300);

/// News of a part, for ever.
pub(super) fn news<K>(
    api: Api<K>,
    config: watcher::Config,
    heard: Arc<Heard>,
    object: fn(K) -> Object,
) -> BoxStream<'static, News>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let watch = watch(&api, &config);
    let reflector = Reflector { api, config, heard, object, watch, failures: 0, rest: None };
    stream::unfold(reflector, |mut reflector| async move { Some((reflector.next().await, reflector)) }).boxed()
}

struct Reflector<K> {
    api: Api<K>,
    config: watcher::Config,
    heard: Arc<Heard>,
    object: fn(K) -> Object,
    watch: BoxStream<'static, Result<Event<K>, watcher::Error>>,
    failures: u32,
    /// Before it is tried again.
    rest: Option<Duration>,
}

impl<K: Resource + Clone + DeserializeOwned + Debug + Send + 'static> Reflector<K> {
    async fn next(&mut self) -> News {
        loop {
            if let Some(rest) = self.rest.take() {
                sleep(rest).await;
            }
            let event = tokio::select! {
                event = self.watch.next() => event,
                () = self.heard.watching.notified() => {
                    self.failures = 0;
                    return News::Works;
                }
            };
            let failure = match event {
                Some(Ok(event)) => return self.heard_of(event),
                Some(Err(failure)) => failure,
                // kube's watchers have no end.
                None => std::future::pending().await,
            };
            if loses_changes(&failure) {
                self.watch = watch(&self.api, &self.config);
            }
            self.failures = self.failures.saturating_add(1);
            let asked = self.heard.take_rest().unwrap_or_default().min(LONGEST_REST);
            self.rest = Some(BACKOFF.delay(self.failures).max(asked));
            // Servers forget what was some minutes ago: all is listed again, and nothing is wrong.
            if !is_expired(&failure) {
                return News::Failed(describe(&failure));
            }
        }
    }

    fn heard_of(&mut self, event: Event<K>) -> News {
        match event {
            Event::Init => News::ListBegins,
            Event::InitApply(object) | Event::Apply(object) => News::Is((self.object)(object)),
            Event::Delete(object) => News::Gone((self.object)(object)),
            Event::InitDone => {
                self.failures = 0;
                News::ListEnds
            }
        }
    }
}

fn watch<K>(api: &Api<K>, config: &watcher::Config) -> BoxStream<'static, Result<Event<K>, watcher::Error>>
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    kube::runtime::watcher(api.clone(), config.clone()).boxed()
}

/// Whether the server knows no more what has changed since then.
fn is_expired(failure: &watcher::Error) -> bool {
    match failure {
        watcher::Error::WatchError(status) => status.code == 410,
        watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::InitialListFailed(kube::Error::Api(status)) => status.code == 410,
        _ => false,
    }
}

/// Whether kube's watcher would go on behind a change that it could not read, or for ever where the server knows nothing
/// of its place any more. It then has to list all objects again.
fn loses_changes(failure: &watcher::Error) -> bool {
    match failure {
        watcher::Error::WatchStartFailed(_) => is_expired(failure),
        watcher::Error::WatchFailed(kube::Error::ReadEvents(error)) => {
            let mut cause = error.get_ref().map(|cause| cause as &(dyn std::error::Error + 'static));
            while let Some(error) = cause {
                if matches!(error.downcast_ref(), Some(TransportError::Line)) {
                    return true;
                }
                cause = error.source();
            }
            false
        }
        watcher::Error::WatchFailed(_) | watcher::Error::NoResourceVersion => true,
        _ => false,
    }
}

const UNFOLLOWED: &str = "their changes cannot be followed";

/// What failed and why. The library's own texts name its types.
fn describe(failure: &watcher::Error) -> String {
    let (what, error) = match failure {
        watcher::Error::InitialListFailed(error) => ("they cannot be listed", error),
        watcher::Error::WatchStartFailed(error) | watcher::Error::WatchFailed(error) => (UNFOLLOWED, error),
        watcher::Error::WatchError(status) => {
            return format!("{UNFOLLOWED}: {} ({})", status.message, status.code);
        }
        watcher::Error::NoResourceVersion => return format!("{UNFOLLOWED}: the server gives no versions"),
    };
    let why = match error {
        kube::Error::Api(status) => format!("{} ({})", status.message, status.code),
        kube::Error::Service(error) => error.to_string(),
        kube::Error::ReadEvents(error) => error.to_string(),
        kube::Error::SerdeError(error) => format!("the answer is not that of an API server: {error}"),
        error => error.to_string(),
    };
    format!("{what}: {why}")
}
