//! What can be said of the text alone: format, spelling, dependencies, lints.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::steps::{self, command};
use crate::{cargo_tools, debian};

/// Comes as a wheel with the binary in it: nothing to compile.
const TYPOS: &str = "1.52.0";

/// Runs all checks, the quick ones first.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let guests = root.join("guest-examples");
    let example = guests.join("team-label/rust");
    let fuzz = root.join("fuzz");
    // A lock file apart goes stale when a dependency joins a package of the workspace: said in seconds, before anything
    // is compiled.
    for locked in [root, &guests, &example, &fuzz] {
        steps::run(&mut command(locked, "cargo fetch --locked --quiet"))?;
    }
    steps::run(&mut command(root, "cargo fmt --all --check"))?;
    steps::run(&mut command(&guests, "cargo fmt --all --check"))?;
    steps::run(&mut command(&example, "cargo fmt --check"))?;
    steps::run(&mut command(&fuzz, "cargo fmt --check"))?;
    steps::run(Command::new(typos(root)?).current_dir(root))?;
    steps::run(&mut steps::test(root, "--no-run"))?;
    steps::run(&mut command(&guests, "cargo clippy --workspace --all-targets --locked -- -D warnings"))?;
    steps::run(&mut command(&example, "cargo clippy --all-targets --locked --target-dir build -- -D warnings"))?;
    steps::run(&mut command(&fuzz, "cargo clippy --all-targets --locked --target-dir ../target/fuzz -- -D warnings"))?;
    let deny = cargo_tools::provide(root, &cargo_tools::CARGO_DENY)?.join("cargo-deny");
    steps::run(Command::new(deny).args(["--all-features", "check", "bans", "licenses", "sources"]).current_dir(root))
}

fn typos(root: &Path) -> anyhow::Result<PathBuf> {
    let venv = root.join(".test-tools/checks");
    let typos = venv.join("bin/typos");
    if !cargo_tools::is_version(&typos, TYPOS) {
        debian::provide_python()?;
        steps::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        steps::run(Command::new(venv.join("bin/pip")).args(["install", "--quiet"]).arg(format!("typos=={TYPOS}")))?;
    }
    Ok(typos)
}
