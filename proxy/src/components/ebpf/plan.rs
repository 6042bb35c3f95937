//! What the arguments ask for, until they change.

use std::sync::Arc;
use std::time::Duration;

use alloy_syntax::{Invalid, TextValue};
use profiler_core::collection::Style;
use tokio_util::task::TaskTracker;

use super::arguments::{CommMode, EbpfArguments};
use super::probe_link::Attachment;
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
    /// The profiles that are being sent under it.
    pub(super) sends: TaskTracker,
    /// What there is to say of it once, in one line.
    pub(super) remark: Option<String>,
}

/// What cannot be changed in a sampler that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SamplingSettings {
    pub(super) sample_rate: u32,
    pub(super) kernel_frames: bool,
    pub(super) targets_only: bool,
}

impl Plan {
    /// Whether there is nothing to do yet.
    pub(super) fn waits(&self) -> bool {
        self.lazy && self.selection.is_empty()
    }

    /// # Errors
    /// What is asked for is not to be had here.
    pub(super) fn new(arguments: &EbpfArguments, id: u64) -> Result<Self, Invalid> {
        refuse_what_is_not_here(arguments)?;
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
            forward_to: Fanout::new(arguments.forward_to.clone()),
            sends: TaskTracker::new(),
            remark: remark(arguments),
        })
    }
}

fn refuse_what_is_not_here(arguments: &EbpfArguments) -> Result<(), Invalid> {
    let not_yet = |attribute, instead: &str| Err(Invalid::attribute(attribute, format!("is not supported yet: {instead}")));
    if arguments.off_cpu_threshold > 0.0 {
        return not_yet("off_cpu_threshold", "leave it at 0, which profiles time on the CPU alone");
    }
    if let Some(link) = arguments.effective_probe_links()?.first() {
        let attribute = if arguments.probe_links.is_empty() { "u_probe_links" } else { "probe_links" };
        let link = link.to_text();
        return match arguments.effective_probe_links()?.iter().find(|link| link.at == Attachment::Kernel) {
            Some(link) => {
                let message = format!("{:?}: probes in the kernel are not supported; remove it", link.to_text());
                Err(Invalid::attribute(attribute, message))
            }
            None => not_yet(attribute, &format!("remove {link:?}")),
        };
    }
    if arguments.debug_info.upload {
        return Err(Invalid::block("debug_info.upload is not supported yet: set it to false"));
    }
    Ok(())
}

/// Of what is asked for and without effect.
fn remark(arguments: &EbpfArguments) -> Option<String> {
    let missing = arguments.missing_runtimes();
    let mut remarks = Vec::new();
    if !missing.is_empty() {
        let names = missing.join(", ");
        remarks.push(format!("not unwound yet, and shown as machine code and unknown memory: {names}"));
    }
    if !arguments.go_enabled {
        remarks.push("go_enabled = false changes nothing: Go is unwound as all machine code".to_owned());
    }
    (!remarks.is_empty()).then(|| remarks.join("; "))
}
