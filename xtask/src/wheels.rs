//! Programs that come as packages of Python, with nothing to compile: at pinned versions and digests.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{debian, steps};

/// Unpacks a package without those that it asks for into a folder, once. The digests are those of all machines.
///
/// # Errors
/// The registry does not have it, or has something else than was pinned.
pub(crate) fn provide(folder: &Path, package: &str, digests: &[&str]) -> Result<()> {
    let hashes: String = digests.iter().map(|digest| format!(" --hash=sha256:{digest}")).collect();
    let wanted = format!("{package}{hashes}\n");
    // Written last: a folder without it was left half done.
    let record = folder.join("requirements.txt");
    if fs::read_to_string(&record).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    debian::provide_python()?;
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    unpack(folder, &wanted).with_context(|| format!("install {package}"))?;
    Ok(fs::write(&record, wanted)?)
}

fn unpack(folder: &Path, wanted: &str) -> Result<()> {
    let work = tempfile::tempdir()?;
    let requirements = work.path().join("requirements.txt");
    fs::write(&requirements, wanted)?;
    let venv = work.path().join("venv");
    steps::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:"]);
    steps::run(pip.arg("--requirement").arg(&requirements).arg("--target").arg(folder))
}
