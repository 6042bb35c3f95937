//! Programs from crates.io that checks and builds call: at pinned versions, in `.test-tools/cargo`, once.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::steps;

/// A program and how it is built.
#[derive(Debug)]
pub(crate) struct CargoTool {
    package: &'static str,
    binary: &'static str,
    version: &'static str,
    /// In place of its default features, where those bring too much.
    features: Option<&'static str>,
}

pub(crate) const CARGO_DENY: CargoTool =
    CargoTool { package: "cargo-deny", binary: "cargo-deny", version: "0.20.2", features: None };
pub(crate) const WASM_TOOLS: CargoTool =
    CargoTool { package: "wasm-tools", binary: "wasm-tools", version: "1.263.0", features: Some("component") };
pub(crate) const WIT_BINDGEN: CargoTool =
    CargoTool { package: "wit-bindgen-cli", binary: "wit-bindgen", version: "0.63.0", features: Some("c,go") };

/// Installs a tool where its version is not there; returns the folder that it is in.
///
/// # Errors
/// The registry does not have it, or it does not build.
pub(crate) fn provide(root: &Path, tool: &CargoTool) -> anyhow::Result<PathBuf> {
    let folder = root.join(".test-tools/cargo");
    let binaries = folder.join("bin");
    if !is_version(&binaries.join(tool.binary), tool.version) {
        // Unoptimised: it runs for a second, and compiles in a third of the time.
        let mut install = Command::new("cargo");
        install.args(["install", "--locked", "--debug", "--quiet", "--root"]).arg(&folder);
        if let Some(features) = tool.features {
            install.args(["--no-default-features", "--features", features]);
        }
        install.arg(format!("{}@{}", tool.package, tool.version)).env("CARGO_PROFILE_DEV_DEBUG", "0");
        steps::run(&mut install).with_context(|| format!("{} cannot be installed", tool.package))?;
    }
    Ok(binaries)
}

/// Whether a program is there and says that it is of the wanted version.
pub(crate) fn is_version(program: &Path, wanted: &str) -> bool {
    let Ok(output) = Command::new(program).arg("--version").output() else { return false };
    String::from_utf8_lossy(&output.stdout).split_whitespace().any(|word| word == wanted)
}
