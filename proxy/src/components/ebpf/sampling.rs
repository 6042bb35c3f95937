//! A running sampler, and what it has counted by now.

use std::sync::Arc;
use std::time::Instant;

use profiler_core::collection::Known;
use profiler_core::sampler::{Choice, Sampler, Scope, Settings, StartError, Statistics};
use profiler_core::symbolizer::{SymbolSettings, Symbolizer, SymbolizerError};
use tokio::task::spawn_blocking;

use super::plan::{SamplingSettings, Symbols};
use super::selection::Selector;

/// Bytes of names that were looked up of late, and of those of code that was written at run time.
const SYMBOL_MEMORY: usize = 16 << 20;

/// A sampler that runs.
#[derive(Clone)]
pub(super) struct Sampling {
    pub(super) sampler: Arc<Sampler>,
    symbolizer: Option<Arc<Symbolizer>>,
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
    #[error(transparent)]
    Symbolizer(#[from] SymbolizerError),
    #[error("starting broke off: {0}")]
    Aborted(#[from] tokio::task::JoinError),
}

impl Sampling {
    /// Loads the programs on a thread that may block. What a sampler that runs knows of symbols serves on, where they
    /// are wanted in the same way.
    pub(super) async fn begin(
        settings: SamplingSettings,
        selector: Arc<Selector>,
        before: Option<&Self>,
    ) -> Result<Self, BeginError> {
        let kept = before.filter(|before| before.settings.symbols == settings.symbols);
        let kept = kept.and_then(|before| before.symbolizer.clone());
        spawn_blocking(move || Self::start(settings, selector, kept)).await?
    }

    /// Names of what was sampled.
    pub(super) fn names(&self) -> Known<'_> {
        Known { sampler: &self.sampler, symbolizer: self.symbolizer.as_deref() }
    }

    fn start(
        settings: SamplingSettings,
        selector: Arc<Selector>,
        kept: Option<Arc<Symbolizer>>,
    ) -> Result<Self, BeginError> {
        let symbolizer = match (&settings.symbols, kept) {
            (_, Some(kept)) => Some(kept),
            (Some(symbols), None) => Some(Arc::new(Symbolizer::new(symbols.settings())?)),
            (None, None) => None,
        };
        let scope =
            if settings.targets_only { Scope::Chosen(Choice::new(move |pid| selector.takes(pid))) } else { Scope::All };
        let asked = Settings {
            sample_rate: settings.sample_rate,
            kernel_frames: settings.kernel_frames,
            off_cpu_threshold: settings.off_cpu_threshold,
            probes: settings.probes.clone(),
            runtimes: settings.runtimes,
            symbolizer: symbolizer.clone(),
            ..Settings::new(scope)
        };
        let sampler = Arc::new(Sampler::start(&asked)?);
        Ok(Self { sampler, symbolizer, settings, since: Instant::now(), counted: Statistics::default() })
    }
}

impl Symbols {
    fn settings(&self) -> SymbolSettings {
        let Self { cache, cache_bytes, demangle } = self.clone();
        SymbolSettings { cache, cache_bytes, memory_bytes: SYMBOL_MEMORY, demangle, lines: false }
    }
}
