//! `bpf/record.toml`: what the committed objects were made of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::compile::Toolchain;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// SHA-256 by processor.
    objects: BTreeMap<String, String>,
    toolchain: RecordedToolchain,
    /// SHA-256 by file.
    sources: BTreeMap<String, String>,
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RecordedToolchain {
    clang: String,
    flags: Vec<String>,
}

const HEADER: &str = "\
# Written by `cargo xtask bpf`, together with the objects beside it. The tests compare both with the sources. All digests
# are SHA-256.
";

impl Record {
    pub(super) fn new(root: &Path, toolchain: &Toolchain, objects: &[(&str, String)]) -> anyhow::Result<Self> {
        Ok(Self {
            objects: objects.iter().map(|(processor, digest)| ((*processor).to_owned(), digest.clone())).collect(),
            toolchain: recorded(toolchain),
            sources: sources(root)?,
        })
    }

    pub(super) fn read(root: &Path) -> anyhow::Result<Self> {
        let path = path(root);
        let text = fs::read_to_string(&path)
            .with_context(|| format!("reading {}: `cargo xtask bpf` writes it", path.display()))?;
        toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    pub(super) fn write(&self, root: &Path) -> anyhow::Result<()> {
        let path = path(root);
        fs::write(&path, format!("{HEADER}{}", toml::to_string_pretty(self)?))
            .with_context(|| format!("writing {}", path.display()))
    }

    pub(super) fn matches_sources(&self, root: &Path) -> anyhow::Result<()> {
        ensure!(
            self.sources == sources(root)?,
            "the sources of bpf/ changed since its objects were built: run `cargo xtask bpf` and commit what it writes"
        );
        Ok(())
    }

    pub(super) fn object(&self, processor: &str) -> Option<&str> {
        self.objects.get(processor).map(String::as_str)
    }

    pub(super) fn is_from(&self, toolchain: &Toolchain) -> bool {
        self.toolchain == recorded(toolchain)
    }
}

/// In lower-case hexadecimal digits.
pub(super) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn recorded(toolchain: &Toolchain) -> RecordedToolchain {
    RecordedToolchain { clang: toolchain.version().to_owned(), flags: toolchain.flags() }
}

/// All of `bpf/` that is C.
fn sources(root: &Path) -> anyhow::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(root.join("bpf")).context("reading bpf")? {
        let name = entry?.file_name().into_string().map_err(|name| anyhow::anyhow!("bpf: {name:?} is not UTF-8"))?;
        if name.ends_with(".c") || name.ends_with(".h") {
            let bytes = fs::read(root.join("bpf").join(&name)).with_context(|| format!("reading bpf/{name}"))?;
            found.insert(name, sha256(&bytes));
        }
    }
    Ok(found)
}

fn path(root: &Path) -> PathBuf {
    root.join("bpf/record.toml")
}
