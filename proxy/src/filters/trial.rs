//! A filter as its author tries it out: one instance, and of each call what it took, logged, and where it failed.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

use super::error::{ConfigureError, FilterError};
use super::guest_log::GuestLog;
use super::host::Module;
use super::instance::{Described, Instance, Surroundings};
use super::profile::Opened;
use super::tables::Tables;
use super::verdict::Verdict;
use super::witness::{Frame, LogLine, Seen, Witness};
use super::world::Capability;
use crate::pipeline::Share;

/// How a filter is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct TrialSettings {
    /// Handed to `configure`.
    pub config: String,
    /// What it may look up.
    pub tables: Arc<Tables>,
    /// What it may use besides what it is handed.
    pub capabilities: Vec<Capability>,
    /// The longest that a call may take.
    pub timeout: Duration,
    /// The most memory that an instance may have, in bytes.
    pub memory_limit: usize,
}

/// A configured filter, apart from any pipeline. An instance that trapped is replaced before the next call.
pub struct Trial {
    module: Module,
    settings: TrialSettings,
    shared: Surroundings,
    witness: Arc<Witness>,
    described: Described,
    instance: Option<Instance>,
}

/// A call, and what was seen of it.
#[derive(Debug)]
pub struct Tried<T> {
    /// What came of it.
    pub outcome: Result<T, TrialError>,
    /// Lines that the filter logged.
    pub log: Vec<LogLine>,
    /// Lines above those that are kept.
    pub lines_left_out: usize,
    /// From handing over to having the verdict.
    pub took: Duration,
    /// What it took in instructions of Wasm, about; where the host counts them.
    pub fuel: Option<u64>,
}

impl<T> Tried<T> {
    /// With another outcome, where there is one.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Tried<U> {
        self.and_then(|outcome| outcome.map(change))
    }

    /// With another outcome.
    pub fn and_then<U>(self, change: impl FnOnce(Result<T, TrialError>) -> Result<U, TrialError>) -> Tried<U> {
        let Self { outcome, log, lines_left_out, took, fuel } = self;
        Tried { outcome: change(outcome), log, lines_left_out, took, fuel }
    }
}

/// A function of the contract, or what runs before any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GuestFunction {
    /// What the language runs when the component starts.
    Start,
    /// `configure`.
    Configure,
    /// `describe`.
    Describe,
    /// `apply`.
    Apply,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// It was not granted what it uses.
    #[error(transparent)]
    Ungranted(ConfigureError),
    /// The filter refuses its configuration, in these words.
    #[error("configure refuses the configuration: {0}")]
    Refused(String),
    /// It failed.
    #[error("{function}: {error}")]
    Failed {
        /// Where.
        function: GuestFunction,
        /// How.
        error: FilterError,
        /// The functions that were on its stack when it trapped, innermost first.
        frames: Vec<Frame>,
    },
}

impl Trial {
    /// Instantiates, configures and describes.
    pub fn start(module: &Module, settings: TrialSettings) -> Tried<Self> {
        let (shared, witness) = watched(settings.tables.clone());
        let began = Instant::now();
        let started = configured(module, &settings, &shared, &witness).and_then(|mut instance| {
            let described = instance.describe(module);
            let described = described.map_err(|error| (GuestFunction::Describe, error.into()))?;
            Ok((instance, described))
        });
        let took = began.elapsed();
        let seen = witness.take();
        let fuel = started.as_ref().ok().and_then(|(instance, _)| Some(u64::MAX - instance.fuel_left()?));
        let outcome = started.map(|(instance, described)| Self {
            module: module.clone(),
            settings,
            shared,
            witness,
            described,
            instance: Some(instance),
        });
        tried(outcome, seen, took, fuel)
    }

    /// What a filter says of itself before it is configured.
    pub fn describe(module: &Module, memory_limit: usize) -> Tried<Described> {
        let (shared, witness) = watched(Arc::default());
        let began = Instant::now();
        let described = Instance::unconfigured(module, memory_limit, shared).and_then(|mut it| it.describe(module));
        let function = if witness.has_begun_a_call() { GuestFunction::Describe } else { GuestFunction::Start };
        let outcome = described.map_err(|error| (function, error.into()));
        tried(outcome, witness.take(), began.elapsed(), None)
    }

    /// What the filter says of itself.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// The most bytes that an instance has had.
    pub fn memory_high_water(&self) -> usize {
        self.shared.usage.memory_high_water()
    }

    /// What becomes of a series with these labels.
    pub fn apply(&mut self, labels: &Labels) -> Tried<Verdict> {
        self.call(
            |instance, module, timeout| instance.apply(module, timeout, labels),
            |answer| Ok(Verdict::of(answer, labels)?),
        )
    }

    /// What becomes of a series with these labels and this pprof profile, and of the profile where it is passed on.
    /// Filters of labels do not see it.
    pub fn apply_to_profile(&mut self, labels: &Labels, profile: &Bytes) -> Tried<(Verdict, Edited)> {
        let lent = Opened::new(profile.clone(), Share::unbounded());
        self.call(
            |instance, module, timeout| instance.apply_to_profile(module, timeout, labels, lent),
            |(answer, opened)| Ok((Verdict::of(answer, labels)?, opened.finish()?)),
        )
    }

    /// A call, and what the host makes of its answer.
    fn call<A, T>(
        &mut self,
        ask: impl FnOnce(&mut Instance, &Module, Duration) -> Result<A, FilterError>,
        read: impl FnOnce(A) -> Result<T, FilterError>,
    ) -> Tried<T> {
        let mut instance = match self.ready() {
            Ok(instance) => instance,
            Err(error) => return tried(Err(error), self.witness.take(), Duration::ZERO, None),
        };
        let before = instance.fuel_left();
        let began = Instant::now();
        let answer = ask(&mut instance, &self.module, self.settings.timeout);
        if answer.is_ok() {
            self.instance = Some(instance);
        }
        let outcome = answer.and_then(read);
        let took = began.elapsed();
        let after = self.instance.as_ref().and_then(Instance::fuel_left);
        let fuel = before.zip(after).map(|(before, after)| before.saturating_sub(after));
        tried(outcome.map_err(|error| (GuestFunction::Apply, error.into())), self.witness.take(), took, fuel)
    }

    /// The instance of the last call, or another one where that has failed. What making it takes and logs is not of
    /// the call.
    fn ready(&mut self) -> Result<Instance, (GuestFunction, ConfigureError)> {
        if let Some(instance) = self.instance.take() {
            return Ok(instance);
        }
        let instance = configured(&self.module, &self.settings, &self.shared, &self.witness)?;
        let _of_the_start = self.witness.take();
        Ok(instance)
    }
}

fn watched(tables: Arc<Tables>) -> (Surroundings, Arc<Witness>) {
    let witness = Arc::<Witness>::default();
    let log = GuestLog::new("".into());
    (Surroundings { log, tables, usage: Arc::default(), witness: Some(witness.clone()) }, witness)
}

fn configured(
    module: &Module,
    settings: &TrialSettings,
    shared: &Surroundings,
    witness: &Witness,
) -> Result<Instance, (GuestFunction, ConfigureError)> {
    module.check_granted(&settings.capabilities).map_err(|error| (GuestFunction::Start, error))?;
    Instance::new(module, &settings.config, settings.memory_limit, shared.clone()).map_err(|error| {
        let function = if witness.has_begun_a_call() { GuestFunction::Configure } else { GuestFunction::Start };
        (function, error)
    })
}

fn tried<T>(
    outcome: Result<T, (GuestFunction, ConfigureError)>,
    seen: Seen,
    took: Duration,
    fuel: Option<u64>,
) -> Tried<T> {
    let Seen { lines, left_out, frames, .. } = seen;
    let outcome = outcome.map_err(|(function, error)| match error {
        error @ ConfigureError::Ungranted(_) => TrialError::Ungranted(error),
        ConfigureError::Refused(words) => TrialError::Refused(words),
        ConfigureError::Filter(error) => TrialError::Failed { function, error, frames },
    });
    Tried { outcome, log: lines, lines_left_out: left_out, took, fuel }
}

/// As the contract calls it.
impl fmt::Display for GuestFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "the start of the component",
            Self::Configure => "configure",
            Self::Describe => "describe",
            Self::Apply => "apply",
        })
    }
}
