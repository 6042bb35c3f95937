//! One configured instance of a filter: a sandbox with its limits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use profiler_core::labels::Labels;
use wasmtime::component::{Resource, ResourceTable, ResourceTableError};
use wasmtime::{ResourceLimiter, Store};

use super::bindings::granted::flamegate::filter::clock;
use super::bindings::labels::flamegate::filter::{log, tables, types};
use super::engine::EPOCH;
use super::error::{ConfigureError, FilterError};
use super::guest_log::GuestLog;
use super::host::Module;
use super::profile::{Opened, Unopened};
use super::tables::Tables;
use super::verdict::cut;
use super::witness::Witness;
use super::world::{Answer, Exports, World, to_guest};

/// Longest call of `configure`, and of `describe`.
const CONFIGURE_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that one call may pass to the host, checked before they are copied out. Above [`Labels`]' own limit.
const HOSTCALL_BYTES: usize = 2 << 20;
/// Longest refusal of a configuration that is shown, in bytes.
const REFUSAL_BYTES: usize = 4096;
/// Longest name and version that are shown, in bytes.
const NAME_BYTES: usize = 64;

/// A sandbox that holds a configured filter. After a trap it must be thrown away.
pub(super) struct Instance {
    store: Store<HostState>,
    exports: Exports,
}

/// What all instances of a filter share.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub log: Arc<GuestLog>,
    pub tables: Arc<Tables>,
    pub usage: Arc<Usage>,
    /// Told of lines, in place of the log, and of traps, where somebody tries the filter out.
    pub witness: Option<Arc<Witness>>,
}

/// What the instances of a filter take.
#[derive(Debug, Default)]
pub(super) struct Usage {
    instances: AtomicUsize,
    memory: AtomicUsize,
}

impl Usage {
    /// Instances that there are now.
    pub(super) fn instances(&self) -> usize {
        self.instances.load(Ordering::Relaxed)
    }

    /// The most bytes that any of them has had.
    pub(super) fn memory_high_water(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }
}

/// What a filter says of itself, cut to what can be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Whether verdicts follow from configuration, tables and labels alone.
    pub deterministic: bool,
}

/// What the host keeps for an instance.
pub(super) struct HostState {
    meter: Meter,
    shared: Surroundings,
    /// The one that the call that runs was lent.
    pub(super) profiles: ResourceTable,
    /// Why the call that runs or ran last could not look into the profile.
    pub(super) unopened: Option<Unopened>,
}

impl Instance {
    /// Instantiates and configures, which may take as long as `configure` may.
    pub(super) fn new(
        module: &Module,
        config: &str,
        memory_limit: usize,
        shared: Surroundings,
    ) -> Result<Self, ConfigureError> {
        let mut instance = Self::unconfigured(module, memory_limit, shared)?;
        let accepted = instance.call(module, CONFIGURE_TIMEOUT, |exports, store| exports.configure(store, config))?;
        accepted.map_err(|refusal| ConfigureError::Refused(cut(&refusal, REFUSAL_BYTES).to_owned()))?;
        Ok(instance)
    }

    /// Instantiates only: then it may be asked to describe itself, and nothing else.
    pub(super) fn unconfigured(
        module: &Module,
        memory_limit: usize,
        shared: Surroundings,
    ) -> Result<Self, FilterError> {
        shared.usage.instances.fetch_add(1, Ordering::Relaxed);
        let meter = Meter { limit: memory_limit, taken: 0, refused: false };
        let state = HostState { meter, shared, profiles: ResourceTable::new(), unopened: None };
        let mut store = Store::new(module.engine().inner(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        // The tools' engine alone counts it, and refuses none.
        let _counted = store.set_fuel(u64::MAX).is_ok();
        store.set_epoch_deadline(epochs(CONFIGURE_TIMEOUT));
        let running = module.engine().running();
        let instantiated = module.code().instantiate(&mut store);
        drop(running);
        let exports = instantiated.map_err(|error| failure(&error, CONFIGURE_TIMEOUT, store.data()))?;
        Ok(Self { store, exports })
    }

    /// What it says of itself.
    pub(super) fn describe(&mut self, module: &Module) -> Result<Described, FilterError> {
        let info = self.call(module, CONFIGURE_TIMEOUT, Exports::describe)?;
        let shown = |text: &str| cut(text, NAME_BYTES).to_owned();
        Ok(Described { name: shown(&info.name), version: shown(&info.version), deterministic: info.deterministic })
    }

    /// Its answer on these labels.
    pub(super) fn apply(&mut self, module: &Module, timeout: Duration, labels: &Labels) -> Result<Answer, FilterError> {
        if module.world() == World::Profile {
            return Err(FilterError::NeedsProfile);
        }
        self.call(module, timeout, |exports, store| exports.apply(store, labels))
    }

    /// Its answer on these labels and this profile, and the profile with what is to be changed in it.
    pub(super) fn apply_to_profile(
        &mut self,
        module: &Module,
        timeout: Duration,
        labels: &Labels,
        profile: Opened,
    ) -> Result<(Answer, Opened), FilterError> {
        let host = |error: ResourceTableError| FilterError::Trap(error.to_string());
        // The host's own for as long as the call lasts; that of an instance that traps goes with its table.
        let owned = self.store.data_mut().profiles.push(profile).map_err(host)?;
        let lent = Resource::new_borrow(owned.rep());
        let answer = self.call(module, timeout, |exports, store| exports.apply_to_profile(store, labels, lent))?;
        Ok((answer, self.store.data_mut().profiles.delete(owned).map_err(host)?))
    }

    /// What is left of the fuel that it began with, `u64::MAX`; `None` where the engine counts none.
    pub(super) fn fuel_left(&self) -> Option<u64> {
        self.store.get_fuel().ok()
    }

    fn call<T>(
        &mut self,
        module: &Module,
        timeout: Duration,
        call: impl FnOnce(&Exports, &mut Store<HostState>) -> wasmtime::Result<T>,
    ) -> Result<T, FilterError> {
        let state = self.store.data_mut();
        (state.meter.refused, state.unopened) = (false, None);
        if let Some(witness) = &state.shared.witness {
            witness.call_begins();
        }
        self.store.set_epoch_deadline(epochs(timeout));
        let _running = module.engine().running();
        call(&self.exports, &mut self.store).map_err(|error| failure(&error, timeout, self.store.data()))
    }
}

/// Epochs in which a call must end; the one that has begun does not count.
fn epochs(timeout: Duration) -> u64 {
    u64::try_from(timeout.as_millis().div_ceil(EPOCH.as_millis())).unwrap_or(u64::MAX / 2) + 1
}

fn failure(error: &wasmtime::Error, timeout: Duration, state: &HostState) -> FilterError {
    if let Some(witness) = &state.shared.witness {
        witness.failed(error);
    }
    let trap = match error.downcast_ref::<wasmtime::Trap>() {
        Some(wasmtime::Trap::Interrupt) => return FilterError::Timeout(timeout),
        // The backtrace that follows the first line is the guest's, and long.
        Some(trap) => trap.to_string(),
        // Not a trap: an answer that cannot be lifted, such as text that is not UTF-8, or the host's own refusal.
        None => cut(&error.root_cause().to_string(), REFUSAL_BYTES).to_owned(),
    };
    match state.unopened {
        Some(Unopened::Unreadable) => return FilterError::Unreadable(trap),
        Some(Unopened::NoMemory) => return FilterError::NoMemory,
        None => {}
    }
    let Meter { limit, refused, .. } = state.meter;
    if refused { FilterError::Memory { limit, trap } } else { FilterError::Trap(trap) }
}

impl Drop for HostState {
    fn drop(&mut self) {
        self.shared.usage.instances.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Counts the bytes of all memories of an instance together.
struct Meter {
    limit: usize,
    taken: usize,
    /// Whether growth was refused in the call that runs or ran last.
    refused: bool,
}

impl ResourceLimiter for HostState {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let meter = &mut self.meter;
        let taken = meter.taken.saturating_sub(current).saturating_add(desired);
        if taken > meter.limit {
            meter.refused = true;
            return Ok(false);
        }
        meter.taken = taken;
        self.shared.usage.memory.fetch_max(taken, Ordering::Relaxed);
        Ok(true)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        // The pooling allocator bounds each table.
        Ok(true)
    }
}

impl types::Host for HostState {}

impl log::Host for HostState {
    fn log(&mut self, level: log::Level, message: String) {
        match &self.shared.witness {
            Some(witness) => witness.line(level, &message),
            None => self.shared.log.write(level, &message),
        }
    }
}

/// Offered to all: who was not granted it is refused before it runs.
impl clock::Host for HostState {
    fn now(&mut self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }
}

impl tables::Host for HostState {
    fn lookup(&mut self, table: String, key: String) -> wasmtime::Result<Option<Vec<types::Label>>> {
        match self.shared.tables.look_up(&table, &key) {
            Some(row) => Ok(row.map(to_guest)),
            None => {
                let table = cut(&table, NAME_BYTES);
                Err(wasmtime::Error::msg(format!(
                    "it looks up {table:?}, and its component has no table of that name: add table {table:?} {{ … }}"
                )))
            }
        }
    }
}
