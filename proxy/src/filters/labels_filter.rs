//! A configured filter of the world `labels-filter`, and its instances.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use profiler_core::labels::Labels;

use super::error::{ConfigureError, FilterError};
use super::guest_log::GuestLog;
use super::host::Module;
use super::instance::{Described, Instance, Surroundings, Usage};
use super::tables::Tables;
use super::verdict::Verdict;

/// How a filter is run.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSettings {
    /// Names it in logs and errors.
    pub name: Arc<str>,
    /// Handed to `configure`.
    pub config: String,
    /// What it may look up.
    pub tables: Arc<Tables>,
    /// The longest that a call may take.
    pub timeout: Duration,
    /// The most memory that an instance may have, in bytes.
    pub memory_limit: usize,
    /// The most that it may take of all processors in a second; above it, it rests. 1 and more is no bound.
    pub cpu_share: f64,
}

/// A filter with its configuration. Its calls run on the caller's thread, each on an instance of its own.
pub struct LabelsFilter {
    module: Module,
    settings: FilterSettings,
    described: Described,
    shared: Surroundings,
    /// Configured instances that wait for work.
    idle: Mutex<Vec<Instance>>,
}

impl LabelsFilter {
    /// Tries the configuration on a first instance.
    pub fn new(module: &Module, settings: FilterSettings) -> Result<Self, ConfigureError> {
        let shared = Surroundings {
            log: GuestLog::new(settings.name.clone()),
            tables: settings.tables.clone(),
            usage: Arc::default(),
            witness: None,
        };
        let mut first = Instance::new(module, &settings.config, settings.memory_limit, shared.clone())?;
        let described = first.describe(module)?;
        Ok(Self { module: module.clone(), settings, described, shared, idle: Mutex::new(vec![first]) })
    }

    /// What it was configured with.
    pub fn settings(&self) -> &FilterSettings {
        &self.settings
    }

    /// Its module.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// What it says of itself.
    pub fn described(&self) -> &Described {
        &self.described
    }

    /// What becomes of a series with these labels. Makes an instance where none waits.
    pub fn apply(&self, labels: &Labels) -> Result<Verdict, FilterError> {
        match self.apply_waiting(labels) {
            Some(verdict) => verdict,
            None => {
                let Self { module, settings, shared, .. } = self;
                let made = Instance::new(module, &settings.config, settings.memory_limit, shared.clone());
                let instance = made.map_err(|error| match error {
                    ConfigureError::Filter(error @ FilterError::Timeout(_)) => error,
                    error => FilterError::Instantiate(error.to_string()),
                })?;
                self.apply_on(instance, labels)
            }
        }
    }

    /// As [`apply`](Self::apply), `None` where no instance waits: to make one may take seconds.
    pub(super) fn apply_waiting(&self, labels: &Labels) -> Option<Result<Verdict, FilterError>> {
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(self.apply_on(waiting, labels))
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.shared.usage
    }

    fn apply_on(&self, mut instance: Instance, labels: &Labels) -> Result<Verdict, FilterError> {
        let answer = instance.apply(&self.module, self.settings.timeout, labels)?;
        // An instance that trapped never comes here: it is gone, and the next call makes another one.
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < most_idle() {
            idle.push(instance);
        }
        drop(idle);
        Ok(Verdict::of(answer, labels)?)
    }
}

/// As many instances as threads can use at a time.
fn most_idle() -> usize {
    2 * available_parallelism().map_or(1, usize::from)
}
