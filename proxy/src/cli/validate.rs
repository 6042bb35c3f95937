//! `flamegate validate`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use alloy_syntax::{Diagnostics, stdlib};
use clap::Args;

use super::fail;
use super::output::{Format, complain, print};
use crate::component::Services;
use crate::components::KINDS;
use crate::config::{ReadError, Source, Sources};
use crate::filters::FilterHost;
use crate::graph::{Graph, Text};

/// Flags of `validate`.
#[derive(Debug, Args)]
pub struct ValidateFlags {
    /// Configuration: a file, or a folder of *.alloy files
    path: PathBuf,
    #[command(flatten)]
    format: Format,
    /// Accepted without effect: every component is available whatever its stability level
    #[arg(long = "stability.level", value_name = "LEVEL")]
    stability_level: Option<String>,
    /// Accepted without effect: every component is available
    #[arg(long = "feature.community-components.enabled", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    community_components: Option<String>,
    /// Accepted without effect: Flamegate reads the Alloy syntax only
    #[arg(long = "config.format", value_name = "FORMAT")]
    config_format: Option<String>,
}

/// Says what is wrong: JSON on standard output, text on standard error.
pub(super) fn run(flags: &ValidateFlags) -> ExitCode {
    let (diagnostics, sources) = match validate(&flags.path) {
        Ok(said) => said,
        Err(error) => return fail(&format!("{error}\n")),
    };
    let said = flags.format.show(&diagnostics, &sources);
    if flags.format.is_json() {
        print(&said);
    } else {
        complain(&said);
    }
    if !diagnostics.has_errors() {
        return ExitCode::SUCCESS;
    }
    fail(if flags.format.is_json() { "" } else { "validation failed\n" })
}

/// Everything there is to say, and the texts it is about.
fn validate(path: &Path) -> Result<(Diagnostics, Vec<Source>), ReadError> {
    let sources = Sources::read(path)?;
    let text = match Text::parse(&sources) {
        Ok(text) => text,
        Err(diagnostics) => return Ok((diagnostics, sources.files)),
    };
    let services = Services::new(PathBuf::new(), FilterHost::default());
    let (found, imported) = match Graph::check(&text, KINDS, &services) {
        Ok(checked) => (checked.warnings, checked.imported),
        Err(refused) => (refused.diagnostics, refused.imported),
    };
    let old_names = text.files.iter().flat_map(stdlib::deprecation_warnings);
    let mut diagnostics: Diagnostics = found.into_iter().chain(old_names).collect();
    diagnostics.0.sort_by_key(|diagnostic| (diagnostic.file.clone(), diagnostic.span.map(|span| span.start.offset)));
    Ok((diagnostics, [sources.files, imported].concat()))
}
