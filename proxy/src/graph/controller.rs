//! The configuration of a process: loaded once, reloaded when asked to, evaluated again when exports change.

use std::path::PathBuf;
use std::sync::Arc;

use alloy_syntax::Diagnostics;
use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use tokio::sync::{Mutex, watch};
use tokio_util::task::TaskTracker;

use super::{Diff, Graph, Prepared, Refused, Text};
use crate::component::Services;
use crate::components::KINDS;
use crate::config::{ReadError, Source, Sources};
use crate::ingest::LocalAddress;
use crate::telemetry::metrics::ComponentLabels;

/// Loads configurations, one after the other.
pub struct Controller {
    path: PathBuf,
    services: Arc<Services>,
    /// Held while something is loaded.
    loaded: Arc<Mutex<Loaded>>,
    /// The graph of it, for those who only look.
    running: ArcSwap<Graph>,
    stage: watch::Sender<Stage>,
    /// Components that were replaced or removed and finish what they have.
    retiring: TaskTracker,
}

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Starting,
    Ready,
    Stopping,
}

/// What runs, and of which text it was made.
#[derive(Default)]
struct Loaded {
    graph: Graph,
    text: Option<Arc<Text>>,
    sources: Vec<Source>,
}

/// Why a configuration was not loaded. The one that runs stays.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A file cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The text is wrong; holds it as well, to be shown.
    #[error("{diagnostics}")]
    Invalid {
        /// What is wrong.
        diagnostics: Diagnostics,
        /// The text.
        sources: Vec<Source>,
    },
    /// Loading itself broke off.
    #[error("loading the configuration broke off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl LoadError {
    /// What to tell a person: each place with its line.
    pub fn render(&self, color: bool) -> String {
        match self {
            Self::Invalid { diagnostics, sources } => crate::config::render(diagnostics, sources, color),
            other => format!("{other}\n"),
        }
    }

    fn refused(refused: Refused, mut sources: Vec<Source>) -> Self {
        sources.extend(refused.imported);
        Self::Invalid { diagnostics: refused.diagnostics, sources }
    }
}

impl Controller {
    /// For the file or folder at this path. Nothing is loaded yet.
    pub fn new(path: PathBuf, services: Arc<Services>) -> Self {
        Self {
            path,
            services,
            loaded: Arc::default(),
            running: ArcSwap::default(),
            stage: watch::Sender::new(Stage::Starting),
            retiring: TaskTracker::new(),
        }
    }

    /// Reads the path and puts what it says in place of what runs.
    ///
    /// # Errors
    /// With any error nothing changes.
    pub async fn load(&self) -> Result<Diff, LoadError> {
        // One load at a time, from the first byte read to the last component in its place.
        let mut loaded = self.loaded.lock().await;
        let (path, services, previous) = (self.path.clone(), self.services.clone(), loaded.graph.clone());
        // Reading files and compiling filters may take seconds: not on a thread that serves.
        let prepared = tokio::task::spawn_blocking(move || {
            let sources = Sources::read(&path)?;
            let text = Text::parse(&sources);
            let sources = sources.files;
            let text = match text {
                Ok(text) => text,
                Err(diagnostics) => return Err(LoadError::Invalid { diagnostics, sources }),
            };
            match previous.prepare(&text, KINDS, &services) {
                Ok(prepared) => Ok((prepared, text, sources)),
                Err(refused) => Err(LoadError::refused(refused, sources)),
            }
        });
        self.services.metrics.controller().evaluating(true);
        let prepared = prepared.await.map_err(LoadError::from).and_then(|prepared| prepared);
        self.services.metrics.controller().evaluating(false);
        self.services.metrics.config().loaded(prepared.is_ok());
        let (prepared, text, sources) = prepared?;
        self.services.metrics.config().identify(digest(&sources));
        (loaded.text, loaded.sources) = (Some(Arc::new(text)), sources);
        let diff = self.commit(prepared, &mut loaded);
        self.stage.send_replace(Stage::Ready);
        Ok(diff)
    }

    /// Evaluates again what refers to exports that have changed, each time that some have, for as long as it is polled.
    pub async fn follow_changes(&self) {
        loop {
            self.services.changes.wait().await;
            let mut loaded = self.loaded.lock().await;
            let changes = self.services.changes.take();
            let Some(text) = loaded.text.clone().filter(|_| !changes.is_empty()) else { continue };
            for (component, since) in &changes {
                self.services.metrics.controller().followed(&component.component_path, since.elapsed());
            }
            let changed = changes.into_keys().collect();
            let (services, previous) = (self.services.clone(), loaded.graph.clone());
            let prepared =
                tokio::task::spawn_blocking(move || previous.prepare_again(&text, KINDS, &services, &changed));
            self.services.metrics.controller().evaluating(true);
            let prepared = prepared.await;
            self.services.metrics.controller().evaluating(false);
            match prepared {
                Ok(Ok(prepared)) => {
                    let diff = self.commit(prepared, &mut loaded);
                    tracing::debug!(%diff, "exports changed");
                }
                Ok(Err(refused)) => {
                    let error = LoadError::refused(refused, loaded.sources.clone());
                    tracing::error!(err = %error, "exports changed, and what refers to them cannot be evaluated");
                }
                Err(aborted) => tracing::error!(err = %aborted, "evaluating changed exports broke off"),
            }
        }
    }

    fn commit(&self, prepared: Prepared, loaded: &mut Loaded) -> Diff {
        // Without the lines of the source: they may hold secrets, and logs travel.
        for warning in &prepared.warnings {
            tracing::warn!("{warning}");
        }
        let diff = prepared.diff();
        self.services.metrics.controller().connections(prepared.graph.all_edges());
        let (graph, retired) = prepared.commit();
        self.running.store(Arc::new(graph.clone()));
        loaded.graph = graph;
        let now_loaded = self.loaded.clone();
        self.retiring.spawn(async move {
            retired.stop().await;
            // Under the lock: a component of the same id may have come back meanwhile, and goes on with the series.
            retired.forget(&now_loaded.lock().await.graph);
        });
        diff
    }

    /// Whether a configuration is in place.
    pub fn is_ready(&self) -> bool {
        *self.stage.borrow() == Stage::Ready
    }

    /// The metrics, those of the graph as it is now.
    pub fn metrics(&self) -> Result<String, std::fmt::Error> {
        let Services { metrics, changes, .. } = &*self.services;
        metrics.controller().queued(changes.len());
        metrics.controller().running(self.graph().health_counts());
        self.services.queues.show();
        metrics.text()
    }

    /// Returns when the process ends.
    pub async fn stopping(&self) {
        // An error says that the controller is gone, which is as good.
        let _stopping = self.stage.subscribe().wait_for(|stage| *stage == Stage::Stopping).await.is_ok();
    }

    /// The components that listen, and where they really do.
    pub fn listening(&self) -> Vec<(ComponentLabels, LocalAddress)> {
        self.running.load().listening()
    }

    /// What runs.
    pub fn graph(&self) -> Arc<Graph> {
        self.running.load_full()
    }

    /// The files of what runs; waits while something is loaded.
    pub async fn sources(&self) -> Vec<Source> {
        self.loaded.lock().await.sources.clone()
    }

    /// Ends every component; those that were replaced or removed before have ended then, too.
    pub async fn stop(&self) {
        self.stage.send_replace(Stage::Stopping);
        self.loaded.lock().await.graph.stop().await;
        self.retiring.close();
        self.retiring.wait().await;
    }

    /// What all components share.
    pub fn services(&self) -> &Services {
        &self.services
    }
}

/// The digest of all files, in hexadecimal.
fn digest(sources: &[Source]) -> String {
    let digest = sources.iter().fold(Sha256::new(), |digest, source| digest.chain_update(&source.text)).finalize();
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}
