//! From sources to a component.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use wit_component::ComponentEncoder;

use super::toolchain::{TARGET, Toolchain};

/// Variables through which a developer's own settings would reach the bytes.
const FOREIGN_SETTINGS: [&str; 5] = [
    "RUSTFLAGS",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS",
    "RUSTC_WRAPPER",
    "RUSTC_WORKSPACE_WRAPPER",
];

/// Compiles the filter in `guest-examples/NAME`. What cargo builds on the way stays in `target/guests`.
pub(super) fn component(root: &Path, name: &str, toolchain: &Toolchain) -> anyhow::Result<Vec<u8>> {
    let package = format!("flamegate-{name}");
    let target_folder = root.join("target/guests");
    fetch(root, toolchain)?;
    let status = cargo(root, toolchain)
        .args(["rustc", "--package", &package])
        .args(toolchain.cargo_arguments())
        .arg("--target-dir")
        .arg(&target_folder)
        .env("CARGO_ENCODED_RUSTFLAGS", flags(root, toolchain)?.join("\x1f"))
        .status()?;
    ensure!(status.success(), "{package} does not build: see cargo's messages above");

    let module = target_folder.join(format!("{TARGET}/release/{}.wasm", package.replace('-', "_")));
    let module = fs::read(&module).with_context(|| format!("reading {}", module.display()))?;
    ComponentEncoder::default()
        .validate(true)
        .module(&module)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| format!("{package} is no component of a world of wit/"))
}

/// Brings the sources of all dependencies, so that the folders that hold them are known before the build.
fn fetch(root: &Path, toolchain: &Toolchain) -> anyhow::Result<()> {
    let status = cargo(root, toolchain).args(["fetch", "--locked"]).status()?;
    ensure!(
        status.success(),
        "the dependencies of guest-examples/ cannot be had as guest-examples/Cargo.lock names them: see cargo's messages above"
    );
    Ok(())
}

fn cargo(root: &Path, toolchain: &Toolchain) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root.join("guest-examples"));
    with_toolchain(&mut command, toolchain);
    command
}

/// Makes every cargo that a command starts build for Wasm with this toolchain, as a plain `cargo build --target` does
/// where rustup has the target.
pub(super) fn for_wasm(command: &mut Command, toolchain: &Toolchain) {
    with_toolchain(command, toolchain);
    if toolchain.borrowed_linker.is_some() {
        command.env("CARGO_UNSTABLE_BUILD_STD", "std,panic_abort");
    }
}

fn with_toolchain(command: &mut Command, toolchain: &Toolchain) {
    command.env("RUSTC", &toolchain.rustc);
    for setting in FOREIGN_SETTINGS {
        command.env_remove(setting);
    }
    if let Some(linker) = &toolchain.borrowed_linker {
        // Building the standard library is a matter of nightly compilers, which this one may act as.
        command.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", linker);
    }
}

/// The sandbox looks at its clock where each function begins: with fewer calls inside a filter, a verdict of the rules takes
/// a twelfth less. The default is 275; 1000 gains hardly more, and makes components a third larger.
const INLINING: &str = "-Cllvm-args=-inline-threshold=500";

fn flags(root: &Path, toolchain: &Toolchain) -> anyhow::Result<Vec<String>> {
    let mut flags = remapped_paths(root, toolchain)?;
    flags.push(INLINING.to_owned());
    Ok(flags)
}

/// Panics name source files: they must be called the same wherever checkout, cargo and compiler lie.
fn remapped_paths(root: &Path, toolchain: &Toolchain) -> anyhow::Result<Vec<String>> {
    let mut prefixes = vec![(root.to_owned(), "/flamegate")];
    prefixes.push((toolchain.library.clone(), "/rustc"));
    // Debian's is a link.
    if let Ok(library) = toolchain.library.canonicalize() {
        prefixes.push((library, "/rustc"));
    }
    // One folder for each registry, its address hashed into the name.
    let registries = cargo_home()?.join("registry/src");
    for registry in fs::read_dir(&registries).with_context(|| format!("reading {}", registries.display()))? {
        prefixes.push((registry?.path(), "/registry"));
    }
    prefixes
        .into_iter()
        .map(|(path, name)| {
            let path = path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))?;
            Ok(format!("--remap-path-prefix={path}={name}"))
        })
        .collect()
}

fn cargo_home() -> anyhow::Result<PathBuf> {
    match env::var_os("CARGO_HOME") {
        Some(home) => Ok(home.into()),
        None => Ok(env::home_dir().context("neither CARGO_HOME nor HOME is set")?.join(".cargo")),
    }
}
