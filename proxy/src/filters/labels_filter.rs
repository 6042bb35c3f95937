//! A configured filter of the world `labels-filter`, and its instances.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use profiler_core::labels::{LabelError, Labels};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder};

use super::bindings::LabelsFilter as Bindings;
use super::bindings::exports::flamegate::filter::filter_labels::Verdict as GuestVerdict;
use super::bindings::flamegate::filter::{log, types};
use super::engine::{CompiledFilter, EPOCH, Engine};
use super::guest_log::GuestLog;

/// What becomes of a series.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Passed on as it is.
    Unchanged,
    /// Passed on with these labels.
    Replace(Labels),
    /// Dropped, for this reason.
    Drop(Arc<str>),
}

/// How a filter is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSettings {
    /// Names it in logs and errors.
    pub name: Arc<str>,
    /// Handed to `configure`.
    pub config: String,
    /// The longest that a call may take.
    pub timeout: Duration,
    /// The most memory that an instance may have, in bytes.
    pub memory_limit: usize,
}

/// Why a filter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigureError {
    /// It failed before it could be asked.
    #[error("the filter failed when it was configured: {0}")]
    Filter(#[from] FilterError),
    /// It refuses its configuration.
    #[error("{0}")]
    Refused(String),
}

/// Why a call of a filter gave no verdict. The instance is thrown away in each case but the last two.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FilterError {
    /// No instance could be made.
    #[error("no instance of the filter can be made: {0}")]
    Instantiate(String),
    /// It took too long.
    #[error("the filter took longer than its {0:?} and was interrupted")]
    Timeout(Duration),
    /// It did something that it may not: out of memory, out of its memory, a panic.
    #[error("the filter trapped: {0}")]
    Trap(String),
    /// It answered something that is no verdict.
    #[error("the filter answered labels that are none: {0}")]
    Labels(#[from] LabelError),
}

/// Longest call of `configure`.
const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that one call may pass to the host, checked before they are copied out. Above [`Labels`]' own limit.
const HOSTCALL_BYTES: usize = 2 << 20;
/// Longest reason of a drop, in bytes.
const REASON_BYTES: usize = 64;

/// A filter with its configuration. Its calls run on the caller's thread, each on an instance of its own.
pub struct LabelsFilter {
    engine: Engine,
    component: CompiledFilter,
    settings: FilterSettings,
    log: Arc<GuestLog>,
    /// Configured instances that wait for work. Calls never await, so there are at most as many as worker threads.
    idle: Mutex<Vec<Instance>>,
}

struct Instance {
    store: Store<HostState>,
    exports: Bindings,
}

/// What the host keeps for an instance.
pub(super) struct HostState {
    limits: StoreLimits,
    log: Arc<GuestLog>,
}

impl LabelsFilter {
    /// Tries the configuration on a first instance.
    pub fn new(engine: &Engine, component: &CompiledFilter, settings: FilterSettings) -> Result<Self, ConfigureError> {
        let (engine, component) = (engine.clone(), component.clone());
        let log = GuestLog::new(settings.name.clone());
        let filter = Self { engine, component, settings, log, idle: Mutex::default() };
        let first = filter.instance()?;
        filter.give_back(first);
        Ok(filter)
    }

    /// What it was configured with.
    pub fn settings(&self) -> &FilterSettings {
        &self.settings
    }

    /// What becomes of a series with these labels.
    pub fn apply(&self, labels: &Labels) -> Result<Verdict, FilterError> {
        let handed: Vec<types::Label> = labels
            .iter()
            .map(|(name, value)| types::Label { name: name.to_owned(), value: value.to_owned() })
            .collect();
        let waiting = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut instance = match waiting {
            Some(instance) => instance,
            None => self.instance().map_err(|error| FilterError::Instantiate(error.to_string()))?,
        };
        let verdict = instance.call(&self.engine, self.settings.timeout, |exports, store| {
            exports.flamegate_filter_filter_labels().call_apply(store, &handed)
        })?;
        // An instance that trapped never comes here: it is gone, and the next call makes another one.
        self.give_back(instance);
        into_verdict(verdict, labels)
    }

    fn instance(&self) -> Result<Instance, ConfigureError> {
        let state = HostState {
            limits: StoreLimitsBuilder::new().memory_size(self.settings.memory_limit).build(),
            log: self.log.clone(),
        };
        let mut store = Store::new(self.engine.inner(), state);
        store.limiter(|state| &mut state.limits);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_epoch_deadline(epochs(CONFIGURE_TIMEOUT));
        let running = self.engine.running();
        let exports = self.component.0.instantiate(&mut store).map_err(|error| trap(&error, CONFIGURE_TIMEOUT))?;
        drop(running);
        let mut instance = Instance { store, exports };
        let config = &self.settings.config;
        let accepted = instance.call(&self.engine, CONFIGURE_TIMEOUT, |exports, store| {
            exports.flamegate_filter_lifecycle().call_configure(store, config)
        })?;
        accepted.map_err(ConfigureError::Refused)?;
        Ok(instance)
    }

    fn give_back(&self, instance: Instance) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(instance);
    }
}

impl Instance {
    fn call<T>(
        &mut self,
        engine: &Engine,
        timeout: Duration,
        call: impl FnOnce(&Bindings, &mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, FilterError> {
        self.store.set_epoch_deadline(epochs(timeout));
        let _running = engine.running();
        call(&self.exports, &mut self.store).map_err(|error| trap(&error, timeout))
    }
}

/// Epochs in which a call must end; the one that has begun does not count.
fn epochs(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis().div_ceil(EPOCH.as_millis())).unwrap_or(u64::MAX / 2) + 1
}

fn trap(error: &wasmtime::Error, timeout: Duration) -> FilterError {
    match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => FilterError::Timeout(timeout),
        // The backtrace that follows the first line is the guest's, and long.
        Some(trap) => FilterError::Trap(trap.to_string()),
        // Not a trap: an answer that cannot be lifted, such as text that is not UTF-8.
        None => FilterError::Trap(error.root_cause().to_string()),
    }
}

fn into_verdict(verdict: GuestVerdict, labels: &Labels) -> Result<Verdict, FilterError> {
    Ok(match verdict {
        GuestVerdict::Unchanged => Verdict::Unchanged,
        GuestVerdict::Patch(patch) => {
            let mut changed = labels.to_builder();
            patch.remove.into_iter().for_each(|name| changed.remove(name));
            patch.set.into_iter().for_each(|label| changed.set(label.name, label.value));
            Verdict::Replace(changed.build()?)
        }
        GuestVerdict::Replace(replaced) => {
            let kept = replaced.into_iter().filter(|label| !label.value.is_empty());
            Verdict::Replace(Labels::from_pairs(kept.map(|label| (label.name, label.value)))?)
        }
        GuestVerdict::Drop(reason) => {
            let cut = reason.floor_char_boundary(REASON_BYTES);
            Verdict::Drop(reason.get(..cut).unwrap_or_default().into())
        }
    })
}

impl types::Host for HostState {}

impl log::Host for HostState {
    fn log(&mut self, level: log::Level, message: String) {
        self.log.write(level, &message);
    }
}
