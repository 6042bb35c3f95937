//! From a module's file and the block's settings to a generation that runs.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use alloy_syntax::Invalid;

use super::arguments::TableArguments;
use super::follow::Standing;
use super::{WasmFilterArguments, module_file};
use crate::component::Context;
use crate::filters::{CompileError, ConfigureError, Digest, FilterHost, FilterSettings, Generation, Module, Remember};
use crate::telemetry::metrics::FilterMetrics;

/// All that decides which filter runs, besides what is in the file.
pub(super) struct Launch {
    path: PathBuf,
    expected: Option<Digest>,
    settings: FilterSettings,
    remember: Remember,
    host: FilterHost,
}

/// Why no generation can be made.
#[derive(Debug, thiserror::Error)]
pub(super) enum LaunchError {
    #[error(transparent)]
    File(#[from] module_file::FileError),
    #[error("{} has the SHA-256 {found}, and sha256 says {expected}", path.display())]
    OtherFile { path: PathBuf, found: Digest, expected: Digest },
    #[error("{}: {error}", path.display())]
    Compile { path: PathBuf, error: CompileError },
    #[error("{} refuses its config: {refusal}", path.display())]
    Config { path: PathBuf, refusal: String },
    #[error("{}: {error}", path.display())]
    Ungranted { path: PathBuf, error: ConfigureError },
    #[error("{}: {error}", path.display())]
    Configure { path: PathBuf, error: ConfigureError },
}

impl LaunchError {
    /// Whether the same bytes would be refused again.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::OtherFile { .. } | Self::Config { .. } | Self::Ungranted { .. } => true,
            Self::Compile { error, .. } => {
                matches!(error, CompileError::Component(_) | CompileError::Refused(_) | CompileError::World(_))
            }
            Self::File(_) | Self::Configure { .. } => false,
        }
    }

    /// As an objection to the block, at the attribute whose fault it is.
    pub(super) fn into_invalid(self) -> Invalid {
        let attribute = match self {
            Self::Config { .. } => "config",
            Self::OtherFile { .. } => "sha256",
            Self::Ungranted { .. } => "capabilities",
            Self::File(_) | Self::Compile { .. } | Self::Configure { .. } => "module",
        };
        // Where there is no such attribute, it is told at the block.
        Invalid::attribute(attribute, self.to_string())
    }
}

/// The same filter runs, whichever host it is.
impl PartialEq for Launch {
    fn eq(&self, other: &Self) -> bool {
        let all = |launch: &Self| {
            let Self { path, expected, remember, .. } = launch;
            let is_remembered = remember.label_sets.is_some();
            (path.clone(), *expected, remember.deterministic, is_remembered)
        };
        all(self) == all(other) && self.settings == other.settings
    }
}

impl Launch {
    /// What the block says; `before` is what it said last.
    pub(super) fn new(
        arguments: &WasmFilterArguments,
        context: &Context<'_>,
        before: Option<&Self>,
    ) -> Result<Self, Invalid> {
        let tables_before = before.map(|before| &*before.settings.tables);
        let label_sets = usize::try_from(arguments.cache_size).ok().and_then(NonZeroUsize::new);
        Ok(Self {
            path: PathBuf::from(&arguments.module),
            expected: arguments.sha256.map(|sha256| sha256.0),
            settings: FilterSettings {
                name: context.component.to_string().into(),
                config: arguments.config.clone(),
                tables: Arc::new(TableArguments::all(&arguments.tables, tables_before)?),
                capabilities: arguments.capabilities.iter().map(|granted| granted.0).collect(),
                timeout: arguments.timeout,
                memory_limit: arguments.memory_limit.bytes(),
                cpu_share: arguments.cpu_share,
            },
            remember: Remember { label_sets, deterministic: arguments.deterministic },
            host: context.services.filters.clone(),
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Of how many label sets verdicts are kept.
    pub(super) fn label_sets(&self) -> Option<NonZeroUsize> {
        self.remember.label_sets
    }

    /// The generation to begin with: of the file, or of the module that runs now, where the file has turned bad since
    /// and nothing was said about which one it is.
    pub(super) fn first(
        &self,
        running: Option<(&Self, Arc<Generation>)>,
        metrics: &FilterMetrics,
    ) -> Result<(Generation, Standing), LaunchError> {
        let error = match self.read().and_then(|bytes| self.make(&bytes, metrics)) {
            Ok(generation) => return Ok((generation, Standing::good())),
            Err(error) => error,
        };
        let same_file = |before: &Self| before.path == self.path && before.expected == self.expected;
        match running.filter(|(before, _)| same_file(before)) {
            Some((_, generation)) => {
                // What is wrong with the file is what the user must hear, in either case.
                match self.generation(generation.filter().module()) {
                    Ok(generation) => Ok((generation, Standing::refused(&error))),
                    Err(_) => Err(error),
                }
            }
            None => Err(error),
        }
    }

    /// The bytes of the file, if they are those that are expected. Blocks.
    pub(super) fn read(&self) -> Result<Vec<u8>, LaunchError> {
        let bytes = module_file::read(&self.path)?;
        let Some(expected) = self.expected else { return Ok(bytes) };
        let found = Digest::of(&bytes);
        if found != expected {
            return Err(LaunchError::OtherFile { path: self.path.clone(), found, expected });
        }
        Ok(bytes)
    }

    /// Compiles these bytes and tries the configuration. Blocks, for seconds where the module is large.
    pub(super) fn make(&self, bytes: &[u8], metrics: &FilterMetrics) -> Result<Generation, LaunchError> {
        let loaded = self.host.load(bytes);
        let (module, origin) = loaded.map_err(|error| LaunchError::Compile { path: self.path.clone(), error })?;
        let generation = self.generation(&module)?;
        metrics.loaded(origin);
        Ok(generation)
    }

    fn generation(&self, module: &Module) -> Result<Generation, LaunchError> {
        Generation::new(module, self.settings.clone(), self.remember).map_err(|error| match error {
            ConfigureError::Refused(refusal) => LaunchError::Config { path: self.path.clone(), refusal },
            error @ ConfigureError::Ungranted(_) => LaunchError::Ungranted { path: self.path.clone(), error },
            error @ ConfigureError::Filter(_) => LaunchError::Configure { path: self.path.clone(), error },
        })
    }
}
