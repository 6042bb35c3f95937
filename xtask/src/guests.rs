//! `cargo xtask guests`: the filters of `guest-examples/` as components, and the check that those in the repository
//! are what their sources make.
//!
//! Beside these stand examples in several languages, which are built and tested, but not kept.
//!
//! Whoever builds Flamegate needs no Wasm toolchain: `NAME.wasm` is committed beside `NAME.record.toml`, which says
//! from which sources and with which toolchain it was made.

mod compile;
mod examples;
mod projects;
mod record;
mod sources;
mod toolchain;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;
use tempfile::TempDir;

pub(crate) use examples::{LANGUAGES, Language, build_examples};
pub(crate) use projects::build_projects;
use record::Record;
use sources::Sources;
use toolchain::Toolchain;

/// A component that was written to the repository.
#[derive(Debug)]
pub(crate) struct Built {
    /// The folder of its sources in `guest-examples/`.
    pub(crate) name: String,
    /// Where it is.
    pub(crate) component: PathBuf,
    /// Its size in bytes.
    pub(crate) size: usize,
    /// Whether its bytes are other ones than before.
    pub(crate) changed: bool,
}

/// What [`check`] found in order.
#[derive(Debug)]
pub(crate) struct Report {
    /// One entry for each filter.
    pub(crate) guests: Vec<Checked>,
    /// Holds the rebuilt components: they are deleted with the report.
    _rebuilt: TempDir,
}

/// A filter whose sources, record and component belong together.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The folder of its sources in `guest-examples/`.
    pub(crate) name: String,
    /// The component in the repository.
    pub(crate) committed: PathBuf,
    /// The component as it was just built from the sources: tests belong to it as well.
    pub(crate) rebuilt: PathBuf,
    /// The toolchain here is the recorded one, and gave the same bytes.
    pub(crate) same_bytes: bool,
}

/// Builds all filters of the checkout `root`, and writes the components and their records.
///
/// # Errors
/// No toolchain (and none can be installed), or a source that does not build.
pub(crate) fn build(root: &Path) -> anyhow::Result<Vec<Built>> {
    let root = &absolute(root)?;
    let toolchain = Toolchain::find_or_install()?;
    let names = guests(root)?;
    names.into_iter().map(|name| build_one(root, name, &toolchain)).collect()
}

/// Compares sources, records and components, and builds all filters again.
///
/// # Errors
/// Sources or a component that are not the recorded ones; other bytes from the recorded toolchain; all errors of
/// [`build`].
pub(crate) fn check(root: &Path) -> anyhow::Result<Report> {
    let root = &absolute(root)?;
    let names = guests(root)?;
    // What is cheap comes first: a stale record shows before any toolchain is asked for.
    let records = names
        .into_iter()
        .map(|name| {
            let record = Record::read(&record_path(root, &name))?;
            record.matches_repository(&name, &Sources::read(root, &name)?, &component_path(root, &name))?;
            Ok((name, record))
        })
        .collect::<anyhow::Result<Vec<_>>>()?;

    let toolchain = Toolchain::find_or_install()?;
    let rebuilt = tempfile::Builder::new().prefix("flamegate-guests-").tempdir()?;
    let guests = records
        .into_iter()
        .map(|(name, record)| check_one(root, name, &record, &toolchain, rebuilt.path()))
        .collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Report { guests, _rebuilt: rebuilt })
}

fn build_one(root: &Path, name: String, toolchain: &Toolchain) -> anyhow::Result<Built> {
    let bytes = compile::component(root, &name, toolchain)?;
    let component = component_path(root, &name);
    let changed = fs::read(&component).ok().as_deref() != Some(&*bytes);
    if changed {
        fs::write(&component, &bytes).with_context(|| format!("writing {}", component.display()))?;
    }
    Record::new(&Sources::read(root, &name)?, toolchain, &bytes).write(&record_path(root, &name))?;
    Ok(Built { name, component, size: bytes.len(), changed })
}

fn check_one(
    root: &Path,
    name: String,
    record: &Record,
    toolchain: &Toolchain,
    folder: &Path,
) -> anyhow::Result<Checked> {
    let bytes = compile::component(root, &name, toolchain)?;
    let rebuilt = folder.join(format!("{name}.wasm"));
    fs::write(&rebuilt, &bytes).with_context(|| format!("writing {}", rebuilt.display()))?;
    let same_toolchain = record.is_from(toolchain);
    let (expected, found) = (record.component_sha256(), record::sha256(&bytes));
    ensure!(
        !same_toolchain || expected == found,
        "{name}: the recorded toolchain makes other bytes of the recorded sources ({found} instead of {expected}). \
         Look for what differs from build to build; `cargo xtask guests` writes the component anew"
    );
    Ok(Checked { committed: component_path(root, &name), name, rebuilt, same_bytes: same_toolchain })
}

/// The filters in Rust: the members of the workspace `guest-examples/`.
fn guests(root: &Path) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Manifest {
        workspace: Workspace,
    }
    #[derive(Deserialize)]
    struct Workspace {
        members: Vec<String>,
    }
    let path = root.join("guest-examples/Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let manifest: Manifest = toml::from_str(&text).with_context(|| format!("reading {}", path.display()))?;
    Ok(manifest.workspace.members)
}

fn absolute(root: &Path) -> anyhow::Result<PathBuf> {
    root.canonicalize().with_context(|| format!("{} is no checkout of Flamegate", root.display()))
}

fn component_path(root: &Path, name: &str) -> PathBuf {
    root.join(format!("guest-examples/{name}.wasm"))
}

fn record_path(root: &Path, name: &str) -> PathBuf {
    root.join(format!("guest-examples/{name}.record.toml"))
}
