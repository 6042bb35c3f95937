//! The configuration of a process: loaded once, reloaded when asked to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use alloy_syntax::Diagnostics;
use tokio::sync::Mutex;

use super::Graph;
use crate::component::Services;
use crate::components::KINDS;
use crate::config::{ReadError, Source, Sources};

/// Loads configurations, one after the other.
pub struct Controller {
    path: PathBuf,
    services: Arc<Services>,
    running: Arc<Mutex<Graph>>,
    ready: AtomicBool,
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
}

impl Controller {
    /// For the file or folder at this path. Nothing is loaded yet.
    pub fn new(path: PathBuf, services: Arc<Services>) -> Self {
        Self { path, services, running: Arc::default(), ready: AtomicBool::new(false) }
    }

    /// Reads the path and puts what it says in place of what runs.
    ///
    /// # Errors
    /// With any error nothing changes.
    pub async fn load(&self) -> Result<(), LoadError> {
        // One load at a time, from the first byte read to the last component in its place.
        let mut running = self.running.lock().await;
        let (path, services, previous) = (self.path.clone(), self.services.clone(), running.clone());
        // Reading files and compiling filters may take seconds: not on a thread that serves.
        let prepared = tokio::task::spawn_blocking(move || {
            let sources = Sources::read(&path)?;
            let files = sources.parse();
            let prepared = files.and_then(|files| previous.prepare(&files, KINDS, &services));
            prepared
                .map(|prepared| (prepared, sources.files.clone()))
                .map_err(|diagnostics| LoadError::Invalid { diagnostics, sources: sources.files })
        });
        let loaded = match prepared.await {
            Ok(loaded) => loaded,
            Err(aborted) => Err(aborted.into()),
        };
        self.services.metrics.config().loaded(loaded.is_ok());
        let (prepared, sources) = loaded?;
        if !prepared.warnings.is_empty() {
            tracing::warn!("{}", crate::config::render(&prepared.warnings, &sources, false).trim_end());
        }
        let (graph, retired) = prepared.commit();
        *running = graph;
        let now_running = self.running.clone();
        tokio::spawn(async move {
            retired.stop().await;
            // Under the lock: a component of the same id may have come back meanwhile, and goes on with the series.
            retired.forget(&*now_running.lock().await);
        });
        self.ready.store(true, Ordering::Release);
        Ok(())
    }

    /// Whether a configuration is in place.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire)
    }

    /// The components that listen, and where they really do.
    pub async fn listening(&self) -> Vec<(Arc<str>, SocketAddr)> {
        self.running.lock().await.listening()
    }

    /// Ends every component.
    pub async fn stop(&self) {
        self.ready.store(false, Ordering::Release);
        self.running.lock().await.stop().await;
    }

    /// What all components share.
    pub fn services(&self) -> &Services {
        &self.services
    }
}
