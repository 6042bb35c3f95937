//! `cargo xtask bpf`: the programs of `bpf/` as objects, and the check that those in the repository are what their
//! sources make.
//!
//! Whoever builds Flamegate needs no clang: an object for each processor is committed beside `record.toml`, which says
//! from which sources and with which compiler they were made.

mod compile;
mod record;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use compile::Toolchain;
use record::{Record, sha256};

/// The processors: the name of the object, and what the sources call it.
const PROCESSORS: [(&str, &str); 2] = [("aarch64", "arm64"), ("x86_64", "x86")];

/// An object that was written to the repository.
#[derive(Debug)]
pub(crate) struct Built {
    /// Where it is.
    pub(crate) object: PathBuf,
    /// Its size in bytes.
    pub(crate) size: usize,
    /// Whether its bytes are other ones than before.
    pub(crate) changed: bool,
}

/// Builds the objects of the checkout `root`, and writes them and their record.
///
/// # Errors
/// No compiler (and none can be installed), or a source that does not build.
pub(crate) fn build(root: &Path) -> anyhow::Result<Vec<Built>> {
    let toolchain = Toolchain::find_or_install()?;
    let mut objects = Vec::new();
    let mut built = Vec::new();
    for (processor, target) in PROCESSORS {
        let bytes = toolchain.compile(root, target)?;
        let object = object_path(root, processor);
        let changed = fs::read(&object).ok().as_deref() != Some(&*bytes);
        if changed {
            fs::write(&object, &bytes).with_context(|| format!("writing {}", object.display()))?;
        }
        objects.push((processor, sha256(&bytes)));
        built.push(Built { object, size: bytes.len(), changed });
    }
    Record::new(root, &toolchain, &objects)?.write(root)?;
    Ok(built)
}

/// Compares sources, record and objects, and builds the objects again. True: the recorded compiler is here, and gave the
/// same bytes.
///
/// # Errors
/// Sources or objects that are not the recorded ones; other bytes from the recorded compiler; all errors of [`build`].
pub(crate) fn check(root: &Path) -> anyhow::Result<bool> {
    let record = Record::read(root)?;
    record.matches_sources(root)?;
    for (processor, _) in PROCESSORS {
        let object = object_path(root, processor);
        let bytes = fs::read(&object).with_context(|| format!("reading {}", object.display()))?;
        ensure!(
            record.object(processor) == Some(&*sha256(&bytes)),
            "bpf/{processor}.o is not the object of bpf/record.toml: run `cargo xtask bpf` and commit what it writes"
        );
    }
    let toolchain = Toolchain::find_or_install()?;
    let same_toolchain = record.is_from(&toolchain);
    for (processor, target) in PROCESSORS {
        let rebuilt = sha256(&toolchain.compile(root, target)?);
        ensure!(
            !same_toolchain || record.object(processor) == Some(&*rebuilt),
            "bpf/{processor}.o: the recorded compiler makes other bytes of the recorded sources. Look for what differs \
             from build to build; `cargo xtask bpf` writes the objects anew"
        );
    }
    Ok(same_toolchain)
}

fn object_path(root: &Path, processor: &str) -> PathBuf {
    root.join(format!("bpf/{processor}.o"))
}
