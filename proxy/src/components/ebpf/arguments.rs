//! What may stand in a `pyroscope.ebpf` block.

use std::path::Path;
use std::time::Duration;

use alloy_syntax::{Arguments, Invalid, TextValue};
use profiler_core::sampler::MAX_SAMPLE_RATE;
use profiler_core::symbolizer::Demangle;

use super::probe_link::ProbeLink;
use crate::components::targets::Targets;
use crate::pipeline::Receiver;

/// What may stand in the block.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(validate = EbpfArguments::validate)]
#[alloy(ignored(
    "bpf_fs_root",
    "obi_process_context_enabled",
    "no_kernel_version_check",
    "load_probe",
    "pid_cache_size",
    "build_id_cache_size",
    "same_file_cache_size",
    "cache_rounds",
    "go_table_fallback",
    "symbols_map_size",
    "pid_map_size",
    "collect_user_profile",
    "collect_kernel_profile",
    "container_id_cache_size"
))]
pub struct EbpfArguments {
    /// Where profiles go.
    #[alloy(attr)]
    pub(super) forward_to: Vec<Receiver>,
    /// Whose processes are profiled: each names a process by `__process_pid__`, or a container by `__container_id__` or
    /// by a label of its discovery.
    #[alloy(attr, optional)]
    pub(super) targets: Targets,
    /// From one profile of a process to the next.
    #[alloy(attr, default = Duration::from_secs(15))]
    pub(super) collect_interval: Duration,
    /// Samples a second on each CPU that is busy.
    #[alloy(attr, default = 19)]
    pub(super) sample_rate: i64,
    /// Whether frames of Python are unwound.
    #[alloy(attr, default = true)]
    pub(super) python_enabled: bool,
    /// Whether frames of Perl are unwound.
    #[alloy(attr, default = true)]
    pub(super) perl_enabled: bool,
    /// Whether frames of PHP are unwound.
    #[alloy(attr, default = true)]
    pub(super) php_enabled: bool,
    /// Whether frames of Java are unwound.
    #[alloy(attr, default = true)]
    pub(super) hotspot_enabled: bool,
    /// Whether frames of Ruby are unwound.
    #[alloy(attr, default = true)]
    pub(super) ruby_enabled: bool,
    /// Whether frames of Node.js are unwound.
    #[alloy(attr, default = true)]
    pub(super) v8_enabled: bool,
    /// Whether frames of .NET are unwound.
    #[alloy(attr, default = true)]
    pub(super) dotnet_enabled: bool,
    /// Whether Go is known as such; it is unwound as all machine code is, either way.
    #[alloy(attr, default = true)]
    pub(super) go_enabled: bool,
    /// How much is shown of the names of C++ and Rust: none leaves them as they are in the file.
    #[alloy(attr, default = DemangleMode(Demangle::None))]
    pub(super) demangle: DemangleMode,
    /// The probability with which time off the CPU is profiled: 0 for never, 1 for always.
    #[alloy(attr, default = 0.0)]
    pub(super) off_cpu_threshold: f64,
    /// Places at which threads are profiled when they come there: `uprobe:/path:symbol`, `uretprobe:/path:symbol`, and
    /// `kprobe:function` or `kretprobe:function` where the kernel has these.
    #[alloy(attr, optional)]
    pub(super) probe_links: Vec<ProbeLink>,
    /// The older spelling: `/path:symbol`. Has no effect beside `probe_links`.
    #[alloy(attr, optional)]
    pub(super) u_probe_links: Vec<String>,
    /// Says in the log what came of each interval.
    #[alloy(attr, optional)]
    pub(super) verbose_mode: bool,
    /// Begins when there is a first target.
    #[alloy(attr, optional)]
    pub(super) lazy_mode: bool,
    /// Where the thread's name is shown: in a label of the sample, as its outermost frame, or both.
    #[alloy(attr, default = CommMode::None)]
    pub(super) comm: CommMode,
    /// Whether the frames of the kernel are shown.
    #[alloy(attr, default = true)]
    pub(super) kernel_frames: bool,
    /// Whether samples have the pid as a label.
    #[alloy(attr, optional)]
    pub(super) pid_label: bool,
    /// Whether processes of no target are left alone; else they are profiled as `ebpf/unspecified`.
    #[alloy(attr, default = true)]
    pub(super) targets_only: bool,
    /// The folder for tables of symbols.
    #[alloy(attr, default = "/tmp/symb-cache".to_owned())]
    pub(super) symb_cache_path: String,
    /// How many tables of symbols are kept there, at 256 KiB each.
    #[alloy(attr, default = 2048)]
    pub(super) symb_cache_size: i64,
    /// Whether frames without a name get one of file and address.
    #[alloy(attr, optional)]
    pub(super) reporter_unsymbolized_stubs: bool,
    /// Where symbols come from.
    #[alloy(block, optional)]
    pub(super) debug_info: DebugInfoArguments,
}

/// Where symbols come from.
#[derive(Debug, Clone, PartialEq, Arguments)]
#[alloy(ignored("cache_size", "strip_text_section", "queue_size", "worker_num"))]
pub(super) struct DebugInfoArguments {
    /// Whether frames are named here.
    #[alloy(attr, default = true)]
    pub(super) on_target_symbolization: bool,
    /// Whether files are sent to the backend, which then names frames.
    #[alloy(attr, optional)]
    pub(super) upload: bool,
}

impl EbpfArguments {
    pub(super) fn rate(&self) -> Result<u32, Invalid> {
        let message = || format!("must be 1 to {MAX_SAMPLE_RATE} samples a second");
        u32::try_from(self.sample_rate)
            .ok()
            .filter(|rate| (1..=MAX_SAMPLE_RATE).contains(rate))
            .ok_or_else(|| Invalid::attribute("sample_rate", message()))
    }

    pub(super) fn symbol_tables(&self) -> u64 {
        u64::try_from(self.symb_cache_size).unwrap_or(1)
    }

    /// The links that count.
    pub(super) fn effective_probe_links(&self) -> Result<Vec<ProbeLink>, Invalid> {
        if !self.probe_links.is_empty() {
            return Ok(self.probe_links.clone());
        }
        let link = |link: &String| {
            ProbeLink::parse_text(&format!("uprobe:{link}"))
                .map_err(|_| Invalid::attribute("u_probe_links", format!("{link:?}: write \"/path:symbol\"")))
        };
        self.u_probe_links.iter().map(link).collect()
    }

    fn validate(&self) -> Result<(), Invalid> {
        self.rate()?;
        self.effective_probe_links()?;
        if self.collect_interval.is_zero() {
            return Err(Invalid::attribute("collect_interval", "must be greater than 0"));
        }
        if !(0.0..=1.0).contains(&self.off_cpu_threshold) {
            return Err(Invalid::attribute("off_cpu_threshold", "is a probability: it must be 0 to 1"));
        }
        if self.symb_cache_size < 1 {
            return Err(Invalid::attribute("symb_cache_size", "must be greater than 0"));
        }
        if !Path::new(&self.symb_cache_path).is_absolute() {
            return Err(Invalid::attribute("symb_cache_path", "must be an absolute path"));
        }
        Ok(())
    }
}

/// How much of a name is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct DemangleMode(pub(super) Demangle);

impl TextValue for DemangleMode {
    fn parse_text(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "none" | "" => Demangle::None,
            "simplified" => Demangle::Simplified,
            "templates" => Demangle::Templates,
            "full" => Demangle::Full,
            _ => {
                let valid = "\"none\", \"simplified\", \"templates\", \"full\"";
                return Err(format!("invalid demangle mode {text:?}, valid values are: {valid}"));
            }
        }))
    }

    fn to_text(&self) -> String {
        match self.0 {
            Demangle::None => "none",
            Demangle::Simplified => "simplified",
            Demangle::Templates => "templates",
            Demangle::Full => "full",
        }
        .to_owned()
    }
}

/// Where the thread's name is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CommMode {
    None,
    Label,
    Stackframe,
    Both,
}

impl TextValue for CommMode {
    fn parse_text(text: &str) -> Result<Self, String> {
        Ok(match text {
            "none" | "" => Self::None,
            "label" => Self::Label,
            "stackframe" => Self::Stackframe,
            "both" => Self::Both,
            _ => {
                let valid = "\"none\", \"label\", \"stackframe\", \"both\"";
                return Err(format!("invalid comm mode {text:?}, valid values are: {valid}"));
            }
        })
    }

    fn to_text(&self) -> String {
        match self {
            Self::None => "none",
            Self::Label => "label",
            Self::Stackframe => "stackframe",
            Self::Both => "both",
        }
        .to_owned()
    }
}
