//! The runtimes of .NET that the tests put programs into: at pinned versions and digests, in `.test-tools/`. They come with
//! programs that bring their own.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::java::digest_of;
use crate::{debian, steps};

/// Each with its folder and the digest of its package: of .NET 9.0.7, with its files beside the program, and of 10.0.9, in
/// one file with it.
const RUNTIMES: [(&str, &str, &str); 2] = [
    ("dotnet-9", "@azure/mcp-linux-x64@0.5.13", "bf1bcc71b0469664c1ee8037271404df31142fe4245c633ad99519464243ab2a"),
    ("dotnet-10", "@azure/mcp-linux-x64@2.0.5", "59e49713045a8c78c4915a6368bfc7688e7e9032a74d1fdf6caaa24d05a4dbdb"),
];

/// What the tests of .NET need: a compiler, and runtimes. There are some for x86_64 alone, as what is tested with them is.
///
/// # Errors
/// A step fails, or what was fetched is something else than was pinned.
pub(crate) fn provide(root: &Path) -> Result<()> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(());
    }
    debian::provide_dotnet_tools()?;
    for (name, package, digest) in RUNTIMES {
        provide_runtime(&root.join(".test-tools").join(name), package, digest)
            .with_context(|| format!("install {package}"))?;
    }
    Ok(())
}

fn provide_runtime(folder: &Path, package: &str, digest: &str) -> Result<()> {
    // Written last: a folder without it was left half done.
    let record = folder.join("digest");
    if fs::read_to_string(&record).is_ok_and(|installed| installed == digest) {
        return Ok(());
    }
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    let work = tempfile::tempdir()?;
    steps::run(Command::new("npm").args(["pack", "--silent", package, "--pack-destination"]).arg(work.path()))?;
    let archive = fs::read_dir(work.path())?.next().context("npm made no file")??.path();
    let found = digest_of(&archive)?;
    ensure!(found == digest, "{package} has the SHA-256 {found}, not {digest}: it is not used");
    steps::run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(folder))?;
    Ok(fs::write(&record, digest)?)
}
