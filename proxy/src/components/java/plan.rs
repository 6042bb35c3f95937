//! What the arguments ask for, until they change.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::Invalid;
use profiler_core::java::{Library, TmpDir};
use profiler_core::labels::Labels;
use tokio_util::task::TaskTracker;

use super::arguments::JavaArguments;
use super::series::Series;
use crate::components::targets::pid_of;
use crate::pipeline::Fanout;

/// What the arguments ask for.
pub(super) struct Plan {
    pub(super) settings: Arc<Settings>,
    /// By pid.
    pub(super) orders: BTreeMap<u32, Arc<Order>>,
    /// Targets that name no process.
    pub(super) without_pid: Vec<Labels>,
    pub(super) forward_to: Fanout,
    /// What is on its way to the receivers.
    pub(super) pushes: TaskTracker,
}

/// What is to be done with one JVM.
pub(super) struct Order {
    pub(super) target: Labels,
    pub(super) series: Series,
    pub(super) settings: Arc<Settings>,
}

/// What holds for all JVMs.
pub(super) struct Settings {
    pub(super) interval: Duration,
    /// For the profiler's agent.
    pub(super) options: String,
    /// Whether samples have the names of their threads as labels.
    pub(super) threads: bool,
    pub(super) tmp_dir: TmpDir,
    dist: String,
    pub(super) library: Arc<Library>,
}

impl Plan {
    /// What is as it was under the plan of before is shared with it.
    ///
    /// # Errors
    /// The profiler's library is not to be had, or labels are too large.
    pub(super) fn new(arguments: &JavaArguments, before: Option<&Self>) -> Result<Self, Invalid> {
        let config = &arguments.profiling_config;
        let options = config.agent_options()?;
        let before = before.map(|before| &before.settings);
        let settings = Settings {
            interval: config.interval,
            threads: options.has("threads"),
            options: options.to_string(),
            tmp_dir: arguments.tmp_dir()?,
            dist: arguments.dist.clone(),
            library: match before.filter(|before| before.dist == arguments.dist) {
                Some(before) => before.library.clone(),
                None => find_library(&arguments.dist)?,
            },
        };
        let settings = match before.filter(|before| ***before == settings) {
            Some(before) => before.clone(),
            None => Arc::new(settings),
        };
        let (mut orders, mut without_pid) = (BTreeMap::new(), Vec::new());
        for target in arguments.targets.rows(None).targets() {
            let Some(pid) = pid_of(target) else {
                without_pid.push(target.clone());
                continue;
            };
            let series = Series::of(target).map_err(|error| Invalid::attribute("targets", error.to_string()))?;
            let order = Order { target: target.clone(), series, settings: settings.clone() };
            // Of several targets that are one process the last counts.
            orders.insert(pid, Arc::new(order));
        }
        let forward_to = Fanout::new(arguments.forward_to.clone());
        Ok(Self { settings, orders, without_pid, forward_to, pushes: TaskTracker::new() })
    }
}

impl PartialEq for Settings {
    fn eq(&self, other: &Self) -> bool {
        self.interval == other.interval && self.options == other.options && self.is_placed_as(other)
    }
}

impl Settings {
    /// Whether the library lies where it is wanted.
    pub(super) fn is_placed_as(&self, other: &Self) -> bool {
        self.tmp_dir == other.tmp_dir && Arc::ptr_eq(&self.library, &other.library)
    }
}

impl Order {
    /// Whether a recording under the one cannot go on under the other.
    pub(super) fn differs(&self, other: &Self) -> bool {
        self.series != other.series || !Arc::ptr_eq(&self.settings, &other.settings)
    }
}

fn find_library(dist: &str) -> Result<Arc<Library>, Invalid> {
    let named = (!dist.is_empty()).then(|| Path::new(dist));
    match Library::find(named) {
        Ok(library) => Ok(Arc::new(library)),
        Err(error) if named.is_some() => Err(Invalid::attribute("dist", error.to_string())),
        Err(error) => Err(Invalid::block(error.to_string())),
    }
}
