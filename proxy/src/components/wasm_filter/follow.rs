//! Follows the module's file: another one is compiled aside, tried, and takes the place of the one that runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::launch::{Launch, LaunchError};
use crate::component::{Health, HealthState};
use crate::filters::{Digest, Filter};
use crate::telemetry::metrics::ComponentLabels;
use crate::watch::{Detector, Watch, WatchSettings};

/// So often the file is looked at without a notice of the file system.
const POLL: Duration = Duration::from_secs(60);

/// How it is with the module.
pub(super) struct Standing {
    pub(super) health: Health,
}

/// A component that follows its file.
pub(super) struct Following {
    pub(super) launch: Arc<Launch>,
    pub(super) filter: Arc<Filter>,
    pub(super) standing: Arc<Mutex<Standing>>,
    pub(super) component: ComponentLabels,
}

/// What came of a look at the file.
enum Seen {
    /// It is the module that runs.
    Same,
    /// It took over.
    Swapped(Digest),
    /// It was refused before.
    StillRefused,
}

impl Standing {
    pub(super) fn good() -> Self {
        Self { health: Health::healthy("filter runs") }
    }

    pub(super) fn refused(error: &LaunchError) -> Self {
        Self { health: Health::unhealthy(format!("{error}; the module of before runs on")) }
    }
}

impl Following {
    /// Never ends.
    pub(super) async fn follow(self) {
        let settings =
            WatchSettings { path: self.launch.path().to_owned(), detector: Detector::Fsnotify, poll_frequency: POLL };
        let mut watch = Watch::new(settings);
        // A module that was refused is not compiled again and again.
        let mut refused = None;
        loop {
            watch.changed().await;
            let (launch, filter) = (self.launch.clone(), self.filter.clone());
            let looked = spawn_blocking(move || {
                let seen = look(&launch, &filter, &mut refused);
                (seen, refused)
            });
            match looked.await {
                Ok((seen, now_refused)) => {
                    refused = now_refused;
                    self.tell(seen);
                }
                Err(aborted) => {
                    tracing::error!(component_id = %self.component, err = %aborted, "looking at the module broke off");
                    refused = None;
                }
            }
        }
    }

    fn tell(&self, seen: Result<Seen, LaunchError>) {
        let component_id = &self.component;
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        match seen {
            Ok(Seen::StillRefused) => {}
            Ok(Seen::Same) => {
                if standing.health.state != HealthState::Healthy {
                    tracing::info!(%component_id, "the module that runs is in its file again");
                    *standing = Standing::good();
                }
            }
            Ok(Seen::Swapped(digest)) => {
                tracing::info!(%component_id, sha256 = %digest, "another module runs");
                *standing = Standing::good();
            }
            Err(error) => {
                let now = Standing::refused(&error);
                if standing.health.message != now.health.message {
                    tracing::error!(%component_id, err = %error, "the changed module is refused, the one of before runs on");
                    self.filter.metrics().swaps_refused.inc();
                    *standing = now;
                }
            }
        }
    }
}

/// Reads the file, and swaps where it holds another module. `refused` is the digest of what was refused last.
fn look(launch: &Launch, filter: &Filter, refused: &mut Option<Digest>) -> Result<Seen, LaunchError> {
    let bytes = launch.read()?;
    let digest = Digest::of(&bytes);
    if digest == filter.generation().filter().module().digest() {
        *refused = None;
        return Ok(Seen::Same);
    }
    if *refused == Some(digest) {
        return Ok(Seen::StillRefused);
    }
    match launch.make(&bytes, filter.metrics()) {
        Ok(generation) => {
            *refused = None;
            filter.swap(Arc::new(generation));
            Ok(Seen::Swapped(digest))
        }
        Err(error) => {
            *refused = error.is_final().then_some(digest);
            Err(error)
        }
    }
}
