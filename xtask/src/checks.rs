//! What can be said of the text alone: format, spelling, dependencies, lints.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::debian;
use crate::steps::{self, command};

/// Comes as a wheel with the binary in it: nothing to compile.
const TYPOS: &str = "typos==1.52.0";
const CARGO_DENY: &str = "cargo-deny@0.20.2";

/// Runs all checks, the quick ones first.
pub(crate) fn run(root: &Path) -> anyhow::Result<()> {
    let guests = root.join("guest-examples");
    let fuzz = root.join("fuzz");
    steps::run(&mut command(root, "cargo fmt --all --check"))?;
    steps::run(&mut command(&guests, "cargo fmt --all --check"))?;
    steps::run(&mut command(&fuzz, "cargo fmt --check"))?;
    steps::run(Command::new(typos(root)?).current_dir(root))?;
    steps::run(&mut command(root, "cargo clippy --workspace --all-targets -- -D warnings"))?;
    steps::run(&mut command(&guests, "cargo clippy --workspace --all-targets --locked -- -D warnings"))?;
    steps::run(&mut command(&fuzz, "cargo clippy --all-targets --locked --target-dir ../target/fuzz -- -D warnings"))?;
    let deny = cargo_deny(root)?;
    steps::run(Command::new(deny).args(["--all-features", "check", "bans", "licenses", "sources"]).current_dir(root))
}

fn typos(root: &Path) -> anyhow::Result<PathBuf> {
    let venv = root.join(".test-tools/checks");
    let typos = venv.join("bin/typos");
    if !is_version(&typos, TYPOS.split("==")) {
        debian::provide_python()?;
        steps::run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        steps::run(Command::new(venv.join("bin/pip")).args(["install", "--quiet", TYPOS]))?;
    }
    Ok(typos)
}

fn cargo_deny(root: &Path) -> anyhow::Result<PathBuf> {
    let folder = root.join(".test-tools/cargo");
    let deny = folder.join("bin/cargo-deny");
    if !is_version(&deny, CARGO_DENY.split("@")) {
        // Unoptimised: it runs for a second, and compiles in a third of the time.
        let mut install = Command::new("cargo");
        install.args(["install", "--locked", "--debug", "--quiet", CARGO_DENY, "--root"]).arg(&folder);
        steps::run(&mut install).context("cargo-deny cannot be installed")?;
    }
    Ok(deny)
}

/// Whether a program is there and says that it is of the wanted version.
fn is_version<'a>(program: &Path, mut name_and_version: impl Iterator<Item = &'a str>) -> bool {
    let wanted = name_and_version.nth(1).unwrap_or_default();
    let Ok(output) = Command::new(program).arg("--version").output() else { return false };
    String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == wanted)
}
