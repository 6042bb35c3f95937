//! `NAME.record.toml`: what a committed component was made of.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::sources::Sources;
use super::toolchain::Toolchain;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    component: Component,
    toolchain: RecordedToolchain,
    sources: RecordedSources,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Component {
    sha256: String,
    size: usize,
}

/// What decides over the bytes besides the sources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordedToolchain {
    pub(super) rustc: String,
    pub(super) linker: String,
    pub(super) flags: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedSources {
    sha256: String,
    files: Vec<String>,
}

const HEADER: &str = "\
# Written by `cargo xtask guests`, together with the component beside it. The tests compare both with the sources.
# sources.sha256 is what `sha256sum FILES | sha256sum` prints.
";

impl Record {
    pub(super) fn new(sources: &Sources, toolchain: &Toolchain, component: &[u8]) -> Self {
        Self {
            component: Component { sha256: sha256(component), size: component.len() },
            toolchain: toolchain.recorded(),
            sources: RecordedSources { sha256: sources.sha256.clone(), files: sources.files.clone() },
        }
    }

    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("reading {}: `cargo xtask guests` writes it", path.display()))?;
        toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    pub(super) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let text = format!("{HEADER}{}", toml::to_string_pretty(self)?);
        fs::write(path, text).with_context(|| format!("writing {}", path.display()))
    }

    /// Whether the component in the repository is the recorded one, and made of the sources in the repository.
    pub(super) fn matches_repository(&self, name: &str, sources: &Sources, component: &Path) -> anyhow::Result<()> {
        ensure!(
            self.sources.files == sources.files && self.sources.sha256 == sources.sha256,
            "{name}: the sources changed since {name}.wasm was built: run `cargo xtask guests` and commit what it writes"
        );
        let bytes = fs::read(component).with_context(|| format!("reading {}", component.display()))?;
        ensure!(
            sha256(&bytes) == self.component.sha256 && bytes.len() == self.component.size,
            "{name}: {} is not the component of {name}.record.toml: run `cargo xtask guests` and commit what it writes",
            component.display()
        );
        Ok(())
    }

    pub(super) fn is_from(&self, toolchain: &Toolchain) -> bool {
        self.toolchain == toolchain.recorded()
    }

    pub(super) fn component_sha256(&self) -> &str {
        &self.component.sha256
    }
}

/// In lower-case hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
