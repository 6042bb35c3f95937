//! Which target a process belongs to, and the series that this gives.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use lru::LruCache;
use profiler_core::labels::{LabelError, Labels, LabelsBuilder, NAME, SERVICE_NAME};
use profiler_core::process::container_id;

use super::super::scope::add_scope;
use super::super::service_name::service_name;
use super::super::targets::{CONTAINER, PID, container_of, pid_of};

/// Of processes without a target, where these are profiled.
const DEFAULT_SERVICE: &str = "ebpf/unspecified";
const SCOPE: &str = "com.grafana.alloy/pyroscope.ebpf";

/// The series of one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Series {
    /// Those of its profiles but for their name and the scope.
    pub(super) labels: Labels,
    pub(super) service_name: Arc<str>,
}

/// The targets, by what they select.
#[derive(Debug, Default)]
pub(super) struct Selection {
    by_pid: HashMap<u32, Arc<Series>>,
    by_container: HashMap<Box<str>, Arc<Series>>,
    default: Option<Arc<Series>>,
}

impl Selection {
    /// Of several targets that select the same the last counts.
    ///
    /// # Errors
    /// Labels that are too large.
    pub(super) fn new(targets: &[Labels], targets_only: bool) -> Result<Self, LabelError> {
        let mut selection = Self::default();
        for target in targets {
            if let Some(pid) = pid_of(target) {
                selection.by_pid.insert(pid, Series::new(target, (PID, &pid.to_string()))?);
            } else if let Some(container) = container_of(target) {
                selection.by_container.insert(container.into(), Series::new(target, (CONTAINER, container))?);
            }
        }
        if !targets_only {
            let labels = Labels::from_pairs([(SERVICE_NAME, DEFAULT_SERVICE)])?;
            selection.default = Some(Arc::new(Series { labels, service_name: DEFAULT_SERVICE.into() }));
        }
        Ok(selection)
    }

    /// The series of a process. Its container is asked for only where that matters.
    pub(super) fn series(&self, pid: u32, container: impl FnOnce() -> Option<Arc<str>>) -> Option<&Arc<Series>> {
        let by_container = || {
            let id = if self.by_container.is_empty() { None } else { container() }?;
            self.by_container.get(&*id)
        };
        self.by_pid.get(&pid).or_else(by_container).or(self.default.as_ref())
    }

    /// How many targets can be met.
    pub(super) fn len(&self) -> usize {
        self.by_pid.len() + self.by_container.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All series but that of processes without a target.
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Series>> {
        self.by_pid.values().chain(self.by_container.values())
    }
}

impl Series {
    fn new(target: &Labels, (selector, selected): (&str, &str)) -> Result<Arc<Self>, LabelError> {
        let service_name = service_name(target, "ebpf/");
        let mut labels: LabelsBuilder<'_> =
            target.iter().filter(|(name, _)| !name.starts_with("__") || *name == NAME).collect();
        labels.set(SERVICE_NAME, &*service_name);
        labels.set(selector, selected);
        Ok(Arc::new(Self { labels: labels.build()?, service_name: (&*service_name).into() }))
    }

    /// The labels of a profile.
    ///
    /// # Errors
    /// They are too large.
    pub(super) fn of_profile(&self, name: &str) -> Result<Labels, LabelError> {
        let mut labels = self.labels.to_builder();
        labels.set(NAME, name);
        add_scope(&mut labels, &self.labels, SCOPE);
        labels.build()
    }
}

/// Processes whose container is remembered: as many as can be sampled at once.
const CONTAINERS: NonZeroUsize = NonZeroUsize::new(16_384).unwrap();

/// Chooses processes by the targets that are current.
pub(super) struct Selector {
    current: ArcSwap<Selection>,
    /// By pid; a process that is gone when its samples are collected had one.
    containers: Mutex<LruCache<u32, Option<Arc<str>>>>,
}

impl Selector {
    pub(super) fn new() -> Self {
        Self { current: ArcSwap::default(), containers: Mutex::new(LruCache::new(CONTAINERS)) }
    }

    pub(super) fn choose_by(&self, selection: Arc<Selection>) {
        self.current.store(selection);
    }

    /// Whether a process has a series.
    pub(super) fn takes(&self, pid: u32) -> bool {
        self.current.load().series(pid, || self.container(pid)).is_some()
    }

    /// The container of a process; of one that is gone, that in which it was last seen.
    pub(super) fn container(&self, pid: u32) -> Option<Arc<str>> {
        let Ok(container) = container_id(pid) else {
            return self.containers().get(&pid).cloned().flatten();
        };
        let container: Option<Arc<str>> = container.map(Arc::from);
        self.containers().put(pid, container.clone());
        container
    }

    fn containers(&self) -> std::sync::MutexGuard<'_, LruCache<u32, Option<Arc<str>>>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
