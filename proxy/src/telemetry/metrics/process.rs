//! The series of the process: its configuration and its resources.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{Counter, IntGauge};

pub(super) type FloatGauge = Gauge<f64, AtomicU64>;

/// `alloy_resources_process_*` and `alloy_build_info`.
#[derive(Debug, Clone)]
pub struct ProcessMetrics {
    cpu_seconds: FloatGauge,
    resident: IntGauge,
    virtual_memory: IntGauge,
}

/// `alloy_config_*`.
#[derive(Debug, Clone)]
pub struct ConfigMetrics {
    successful: IntGauge,
    success_time: FloatGauge,
    failures: Counter,
    hash: Family<HashLabels, IntGauge>,
    /// Empty for none.
    cluster_name: Arc<OnceLock<Arc<str>>>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HashLabels {
    sha256: String,
    cluster_name: Arc<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl ProcessMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let build = Family::<BuildLabels, IntGauge>::default();
        build.get_or_create_owned(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        registry.register("alloy_build_info", "The version that runs", build);

        let started = FloatGauge::default();
        started.set(unix_seconds());
        registry.register(
            "alloy_resources_process_start_time_seconds",
            "When the process began, in Unix time",
            started,
        );

        let metrics = Self {
            cpu_seconds: FloatGauge::default(),
            resident: IntGauge::default(),
            virtual_memory: IntGauge::default(),
        };
        let name = "alloy_resources_process_cpu_seconds_total";
        registry.register(name, "Processor seconds used", metrics.cpu_seconds.clone());
        let name = "alloy_resources_process_resident_memory_bytes";
        registry.register(name, "Memory in use", metrics.resident.clone());
        let name = "alloy_resources_process_virtual_memory_bytes";
        registry.register(name, "Address space in use", metrics.virtual_memory.clone());
        metrics
    }

    /// Reads the kernel's figures; where it has none the last ones stay.
    pub(super) fn refresh(&self) {
        let Ok(process) = procfs::process::Process::myself().and_then(|process| process.stat()) else { return };
        self.cpu_seconds.set((process.utime + process.stime) as f64 / procfs::ticks_per_second() as f64);
        self.resident.set(i64::try_from(process.rss * procfs::page_size()).unwrap_or(i64::MAX));
        self.virtual_memory.set(i64::try_from(process.vsize).unwrap_or(i64::MAX));
    }
}

impl ConfigMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            successful: IntGauge::default(),
            success_time: FloatGauge::default(),
            failures: Counter::default(),
            hash: Family::default(),
            cluster_name: Arc::default(),
        };
        let name = "alloy_config_hash";
        registry.register(name, "1 for the digest of the configuration that was loaded", metrics.hash.clone());
        let name = "alloy_config_last_load_successful";
        registry.register(name, "1 if the last load of the configuration went well", metrics.successful.clone());
        let name = "alloy_config_last_load_success_timestamp_seconds";
        registry.register(name, "When it last went well, in Unix time", metrics.success_time.clone());
        let name = "alloy_config_load_failures_total";
        registry.register(name, "Loads that failed", metrics.failures.clone());
        metrics
    }

    /// The digest of what was loaded, in hexadecimal.
    pub fn identify(&self, sha256: String) {
        self.hash.clear();
        let cluster_name = self.cluster_name.get().cloned().unwrap_or_default();
        self.hash.get_or_create_owned(&HashLabels { sha256, cluster_name }).set(1);
    }

    /// The cluster that this process is a node of, from the next digest on.
    pub(super) fn name_cluster(&self, name: Arc<str>) {
        // One process is a node of one cluster.
        let _named = self.cluster_name.set(name).is_ok();
    }

    /// A configuration was loaded, or refused.
    pub fn loaded(&self, successful: bool) {
        self.successful.set(i64::from(successful));
        if successful {
            self.success_time.set(unix_seconds());
        } else {
            self.failures.inc();
        }
    }
}

fn unix_seconds() -> f64 {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0.0, |since| since.as_secs_f64())
}
