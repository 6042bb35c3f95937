//! A running sampler, and what it has counted by now.

use std::sync::Arc;
use std::time::Instant;

use profiler_core::sampler::{Choice, Sampler, Scope, Settings, StartError, Statistics};
use tokio::task::spawn_blocking;

use super::plan::SamplingSettings;
use super::selection::Selector;

/// A sampler that runs.
#[derive(Clone)]
pub(super) struct Sampling {
    pub(super) sampler: Arc<Sampler>,
    pub(super) settings: SamplingSettings,
    /// When its stacks were last collected.
    pub(super) since: Instant,
    /// What was counted then.
    pub(super) counted: Statistics,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error("starting broke off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl Sampling {
    /// Loads the programs on a thread that may block.
    pub(super) async fn begin(settings: SamplingSettings, selector: Arc<Selector>) -> Result<Self, BeginError> {
        let scope = if settings.targets_only {
            Scope::Chosen(Choice::new(move |pid| selector.takes(pid)))
        } else {
            Scope::All
        };
        let SamplingSettings { sample_rate, kernel_frames, off_cpu_threshold, ref probes, .. } = settings;
        let probes = probes.clone();
        let asked = Settings { sample_rate, kernel_frames, off_cpu_threshold, probes, ..Settings::new(scope) };
        let sampler = Arc::new(spawn_blocking(move || Sampler::start(&asked)).await??);
        Ok(Self { sampler, settings, since: Instant::now(), counted: Statistics::default() })
    }
}
