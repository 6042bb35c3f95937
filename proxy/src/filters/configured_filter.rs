//! A configured filter, and its instances.

use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use bytes::Bytes;
use profiler_core::labels::Labels;
use profiler_core::pprof::edit::Edited;

use super::error::{ConfigureError, FilterError};
use super::guest_log::GuestLog;
use super::host::Module;
use super::instance::{Described, Instance, Surroundings, Usage};
use super::profile::Opened;
use super::tables::Tables;
use super::verdict::Verdict;
use super::world::Capability;
use crate::pipeline::Share;

/// The longest timeout that users may ask for: what takes longer would hold a request up.
pub const LONGEST_TIMEOUT: Duration = Duration::from_secs(10);

/// How a filter is run.
#[derive(Debug, Clone, PartialEq)]
pub struct FilterSettings {
    /// Names it in logs and errors.
    pub name: Arc<str>,
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
    /// The most that it may take of all processors in a second; above it, it rests. 1 and more is no bound.
    pub cpu_share: f64,
}

impl FilterSettings {
    /// Those of a filter that is compiled in. It takes some microseconds for a label set, or a millisecond for one of a
    /// mebibyte, and a hundredth of the memory; whatever processors it takes follow from the user's own rules and
    /// targets, and are what was asked for.
    pub fn built_in(name: impl Into<Arc<str>>, config: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            config: config.into(),
            tables: Arc::default(),
            capabilities: Vec::new(),
            timeout: Duration::from_millis(100),
            memory_limit: 64 << 20,
            cpu_share: 1.0,
        }
    }
}

/// A filter with its configuration. Its calls run on the caller's thread, each on an instance of its own.
pub struct ConfiguredFilter {
    module: Module,
    settings: FilterSettings,
    described: Described,
    shared: Surroundings,
    /// Configured instances that wait for work.
    idle: Mutex<Vec<Instance>>,
}

impl ConfiguredFilter {
    /// Tries the configuration on a first instance.
    pub fn new(module: &Module, settings: FilterSettings) -> Result<Self, ConfigureError> {
        module.check_granted(&settings.capabilities)?;
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
    ///
    /// # Errors
    /// [`FilterError::NeedsProfile`] of a filter of profiles.
    pub fn apply(&self, labels: &Labels) -> Result<Verdict, FilterError> {
        self.apply_on(self.waiting_or_new()?, labels)
    }

    /// As [`apply`](Self::apply), `None` where no instance waits: to make one may take seconds.
    pub(super) fn apply_waiting(&self, labels: &Labels) -> Option<Result<Verdict, FilterError>> {
        Some(self.apply_on(self.waiting()?, labels))
    }

    /// What becomes of a series with these labels and this pprof profile, and of the profile where it is passed on.
    /// Filters of labels do not see the profile.
    /// What it takes to open the profile is charged to `memory`.
    pub fn apply_to_profile(
        &self,
        labels: &Labels,
        profile: &Bytes,
        memory: Share,
    ) -> Result<(Verdict, Edited), FilterError> {
        let mut instance = self.waiting_or_new()?;
        let lent = Opened::new(profile.clone(), memory);
        let (answer, opened) = instance.apply_to_profile(&self.module, self.settings.timeout, labels, lent)?;
        self.keep(instance);
        Ok(match Verdict::of(answer, labels)? {
            dropped @ Verdict::Drop(_) => (dropped, Edited::Unchanged),
            passed => (passed, opened.finish()?),
        })
    }

    pub(super) fn usage(&self) -> &Usage {
        &self.shared.usage
    }

    fn apply_on(&self, mut instance: Instance, labels: &Labels) -> Result<Verdict, FilterError> {
        let answer = instance.apply(&self.module, self.settings.timeout, labels)?;
        self.keep(instance);
        Ok(Verdict::of(answer, labels)?)
    }

    fn waiting(&self) -> Option<Instance> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn waiting_or_new(&self) -> Result<Instance, FilterError> {
        if let Some(waiting) = self.waiting() {
            return Ok(waiting);
        }
        let Self { module, settings, shared, .. } = self;
        let made = Instance::new(module, &settings.config, settings.memory_limit, shared.clone());
        made.map_err(|error| match error {
            ConfigureError::Filter(error @ FilterError::Timeout(_)) => error,
            error => FilterError::Instantiate(error.to_string()),
        })
    }

    /// For the next call. An instance that trapped never comes here: it is gone, and the next call makes another one.
    fn keep(&self, instance: Instance) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < *MOST_IDLE {
            idle.push(instance);
        }
    }
}

/// As many instances as threads can use at a time. Asked once: the system answers from files of the control group.
static MOST_IDLE: LazyLock<usize> = LazyLock::new(|| 2 * available_parallelism().map_or(1, usize::from));
