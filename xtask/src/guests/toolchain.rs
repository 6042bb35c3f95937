//! A compiler for Wasm: rustup's target where it is installed, else Debian's compiler and the sources of its
//! standard library.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};

use super::record::RecordedToolchain;
use crate::debian;

pub(super) const TARGET: &str = "wasm32-unknown-unknown";

/// The packages of Debian that bring a current compiler and the sources of its standard library.
const DEBIAN_PACKAGES: [&str; 2] = ["rustc-web", "rust-web-src"];
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_LIBRARY: &str = "/usr/lib/rustlib/src/rust";

pub(super) struct Toolchain {
    pub(super) rustc: PathBuf,
    /// The sources of its standard library, whose paths panics name.
    pub(super) library: PathBuf,
    /// For a compiler that has neither a standard library for Wasm nor a linker: the linker of another one.
    pub(super) borrowed_linker: Option<PathBuf>,
    rustc_version: String,
    linker_version: String,
}

/// Installs Debian's packages for building Wasm, as root. Does nothing where a toolchain is there already.
///
/// # Errors
/// Not root, no apt-get, or a package that cannot be had.
pub(super) fn install_toolchain() -> anyhow::Result<()> {
    if Toolchain::find()?.is_some() {
        return Ok(());
    }
    debian::install(&DEBIAN_PACKAGES).with_context(|| {
        format!("no toolchain for {TARGET}; where there is rustup, `rustup target add {TARGET}` brings one")
    })
}

impl Toolchain {
    pub(super) fn find_or_install() -> anyhow::Result<Self> {
        install_toolchain()?;
        match Self::find()? {
            Some(toolchain) => Ok(toolchain),
            None => bail!(
                "{DEBIAN_RUSTC} or {DEBIAN_LIBRARY} is missing although {} are installed",
                DEBIAN_PACKAGES.join(" and ")
            ),
        }
    }

    /// What the record says of it.
    pub(super) fn recorded(&self) -> RecordedToolchain {
        RecordedToolchain {
            rustc: self.rustc_version.clone(),
            linker: self.linker_version.clone(),
            flags: self.cargo_arguments().iter().map(|argument| (*argument).to_owned()).collect(),
        }
    }

    /// What cargo is told besides the package and folders.
    pub(super) fn cargo_arguments(&self) -> Vec<&'static str> {
        let mut arguments = vec!["--locked", "--release", "--crate-type=cdylib", "--target=wasm32-unknown-unknown"];
        if self.borrowed_linker.is_some() {
            // Without its default features (backtraces) the standard library is smaller; nothing here unwinds.
            arguments.extend(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
        }
        arguments
    }

    fn find() -> anyhow::Result<Option<Self>> {
        // Where rustup is missing, so is its target.
        let targets = Command::new("rustup").args(["target", "list", "--installed"]).output();
        let has_target =
            targets.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).lines().any(|line| line == TARGET));
        let default_rustc = if has_target {
            PathBuf::from(stdout(Command::new("rustup").args(["which", "rustc"]))?)
        } else {
            PathBuf::from("rustc")
        };
        let default_sysroot = PathBuf::from(stdout(Command::new(&default_rustc).args(["--print", "sysroot"]))?);
        if has_target {
            let rustc_version = stdout(Command::new(&default_rustc).arg("--version"))?;
            return Ok(Some(Self {
                library: default_sysroot.join("lib/rustlib/src/rust"),
                linker_version: format!("that of {rustc_version}"),
                rustc_version,
                rustc: default_rustc,
                borrowed_linker: None,
            }));
        }
        if !Path::new(DEBIAN_RUSTC).exists() || !Path::new(DEBIAN_LIBRARY).join("library/std").exists() {
            return Ok(None);
        }
        let host = stdout(Command::new(&default_rustc).args(["--print", "host-tuple"]))?;
        let linker = default_sysroot.join(format!("lib/rustlib/{host}/bin/rust-lld"));
        ensure!(linker.exists(), "{} is missing: Debian's compiler brings no linker for Wasm", linker.display());
        Ok(Some(Self {
            rustc: PathBuf::from(DEBIAN_RUSTC),
            library: PathBuf::from(DEBIAN_LIBRARY),
            rustc_version: stdout(Command::new(DEBIAN_RUSTC).arg("--version"))?,
            linker_version: stdout(Command::new(&linker).args(["-flavor", "wasm", "--version"]))?,
            borrowed_linker: Some(linker),
        }))
    }
}

/// What a program prints, without the end of its last line.
fn stdout(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim_end()
    );
    Ok(String::from_utf8(output.stdout)
        .with_context(|| format!("reading what {command:?} prints"))?
        .trim_end()
        .to_owned())
}
