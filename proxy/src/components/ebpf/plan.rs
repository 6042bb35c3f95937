//! What the arguments ask for, until they change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::Invalid;
use profiler_core::collection::Style;
use profiler_core::kernel::{Place, Probe, Runtimes};
use profiler_core::symbolizer::Demangle;

use super::arguments::{CommMode, EbpfArguments};
use super::probe_link::ProbeLink;
use super::selection::Selection;
use crate::pipeline::Fanout;

/// What the arguments ask for. Each has an id greater than those before.
pub(super) struct Plan {
    pub(super) id: u64,
    pub(super) sampling: SamplingSettings,
    pub(super) selection: Arc<Selection>,
    pub(super) style: Style,
    pub(super) collect_interval: Duration,
    pub(super) lazy: bool,
    pub(super) verbose: bool,
    pub(super) forward_to: Fanout,
}

/// What cannot be changed in a sampler that runs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct SamplingSettings {
    pub(super) sample_rate: u32,
    pub(super) kernel_frames: bool,
    pub(super) targets_only: bool,
    pub(super) off_cpu_threshold: f64,
    pub(super) probes: Vec<Probe>,
    pub(super) runtimes: Runtimes,
    /// None: frames are not named here.
    pub(super) symbols: Option<Symbols>,
}

/// Where names are kept, and how they are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Symbols {
    pub(super) cache: PathBuf,
    pub(super) cache_bytes: u64,
    pub(super) demangle: Demangle,
}

impl Plan {
    /// Whether there is nothing to do yet.
    pub(super) fn waits(&self) -> bool {
        self.lazy && self.selection.is_empty()
    }

    /// # Errors
    /// What is asked for is not to be had here.
    pub(super) fn new(arguments: &EbpfArguments, id: u64, before: Option<&Fanout>) -> Result<Self, Invalid> {
        if arguments.debug_info.upload {
            return Err(Invalid::block("debug_info.upload is not supported yet: set it to false"));
        }
        let targets = arguments.targets.rows(None);
        let selection = Selection::new(targets.targets(), arguments.targets_only)
            .map_err(|error| Invalid::attribute("targets", error.to_string()))?;
        let EbpfArguments { comm, kernel_frames, pid_label, .. } = *arguments;
        Ok(Self {
            id,
            sampling: SamplingSettings {
                sample_rate: arguments.rate()?,
                kernel_frames,
                targets_only: arguments.targets_only,
                off_cpu_threshold: arguments.off_cpu_threshold,
                probes: probes(arguments)?,
                runtimes: Runtimes {
                    python: arguments.python_enabled,
                    hotspot: arguments.hotspot_enabled,
                    v8: arguments.v8_enabled,
                    ruby: arguments.ruby_enabled,
                    perl: arguments.perl_enabled,
                    php: arguments.php_enabled,
                    go: arguments.go_enabled,
                    dotnet: arguments.dotnet_enabled,
                },
                symbols: arguments.debug_info.on_target_symbolization.then(|| symbols(arguments)),
            },
            selection: Arc::new(selection),
            style: Style {
                comm_label: matches!(comm, CommMode::Label | CommMode::Both),
                comm_frame: matches!(comm, CommMode::Stackframe | CommMode::Both),
                pid_label,
                kernel_frames,
                stubs: arguments.reporter_unsymbolized_stubs,
            },
            collect_interval: arguments.collect_interval,
            lazy: arguments.lazy_mode,
            verbose: arguments.verbose_mode,
            forward_to: Fanout::following(before, arguments.forward_to.clone()),
        })
    }
}

/// Where the kernel tells that it has probes of its own.
const KERNEL_PROBES: &str = "/sys/bus/event_source/devices/kprobe";

fn probes(arguments: &EbpfArguments) -> Result<Vec<Probe>, Invalid> {
    let links = arguments.effective_probe_links()?;
    let in_kernel = |link: &&ProbeLink| matches!(link.0.place, Place::Kernel { .. });
    if let Some(link) = links.iter().find(in_kernel).filter(|_| !Path::new(KERNEL_PROBES).exists()) {
        let message = format!("{}: this kernel has no probes of its own (CONFIG_KPROBE_EVENTS): remove it", link.0);
        return Err(Invalid::attribute("probe_links", message));
    }
    Ok(links.into_iter().map(|link| link.0).collect())
}

/// The configuration counts tables, the cache bytes: most libraries' tables are smaller, those of large programs take
/// megabytes.
const TABLE_BYTES: u64 = 256 << 10;

fn symbols(arguments: &EbpfArguments) -> Symbols {
    Symbols {
        cache: arguments.symb_cache_path.clone().into(),
        cache_bytes: arguments.symbol_tables().saturating_mul(TABLE_BYTES),
        demangle: arguments.demangle.0,
    }
}
