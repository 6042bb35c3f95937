//! The filters to copy from: `guest-examples/team-label`, one job in each language, built as its README says.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, ensure};

use super::compile;
use super::toolchain::Toolchain;
use crate::debian::Needed;
use crate::steps::{self, command};
use crate::{cargo_tools, debian};

/// A language with an example; its folder is `guest-examples/team-label/NAME`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Language {
    Rust,
    C,
    Go,
    Python,
    JavaScript,
}

/// All of them.
pub(crate) const LANGUAGES: [Language; 5] =
    [Language::Rust, Language::C, Language::Go, Language::Python, Language::JavaScript];

const CLANG: &[Needed] = &[
    ("clang-19", "clang-19"),
    ("wasm-ld-19", "lld-19"),
    ("/usr/lib/llvm-19/lib/clang/19/lib/wasi/libclang_rt.builtins-wasm32.a", "libclang-rt-19-dev-wasm32"),
    ("/usr/include/wasm32-wasi/stdlib.h", "wasi-libc"),
];
const GO: &[Needed] = &[("go", "golang-go")];
const NODE: &[Needed] = &[("node", "nodejs"), ("npm", "npm")];

/// Builds the examples, and collects the components as `LANGUAGE.wasm` in one folder, which it returns.
///
/// # Errors
/// A toolchain that is missing and cannot be installed, or sources that do not build.
pub(crate) fn build_examples(root: &Path, languages: &[Language]) -> anyhow::Result<PathBuf> {
    let root = &super::absolute(root)?;
    collect(root, languages, |language| {
        let folder = root.join("guest-examples/team-label").join(language.name());
        let component = language.component(&folder)?;
        steps::run(language.equip(root, &mut command(&folder, "make"))?)?;
        Ok(component)
    })
}

/// Builds one after the other, and copies each component into a folder, which it returns.
pub(super) fn collect(
    root: &Path,
    languages: &[Language],
    build: impl Fn(Language) -> anyhow::Result<PathBuf>,
) -> anyhow::Result<PathBuf> {
    let folder = root.join("target/guest-examples");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    for &language in languages {
        let began = Instant::now();
        let built = build(language).with_context(|| format!("the example in {} does not build", language.name()))?;
        ensure!(built.is_file(), "the build succeeded but left no {}", built.display());
        let component = folder.join(language.name()).with_extension("wasm");
        let size = fs::copy(&built, &component).with_context(|| format!("copying {}", built.display()))?;
        let seconds = began.elapsed().as_secs_f64();
        println!("{}: {size} bytes in {seconds:.0} s: {}", language.name(), component.display());
    }
    Ok(folder)
}

impl Language {
    /// As the folder of its example is called.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::C => "c",
            Self::Go => "go",
            Self::Python => "python",
            Self::JavaScript => "javascript",
        }
    }

    /// The component that the build in a folder will write. What was there before does not count, and is removed.
    pub(super) fn component(self, folder: &Path) -> anyhow::Result<PathBuf> {
        let component = folder.join("build/team-label.wasm");
        if component.exists() {
            fs::remove_file(&component).with_context(|| format!("removing {}", component.display()))?;
        }
        Ok(component)
    }

    /// Gives a command that builds the toolchain of the language, which is installed where it is missing.
    pub(super) fn equip<'a>(self, root: &Path, builder: &'a mut Command) -> anyhow::Result<&'a mut Command> {
        match self {
            Self::Rust => compile::for_wasm(builder, &Toolchain::find_or_install()?),
            Self::C => debian::provide(CLANG)?,
            Self::Go => debian::provide(GO)?,
            Self::Python => debian::provide_python()?,
            Self::JavaScript => debian::provide(NODE)?,
        }
        if matches!(self, Self::Rust | Self::C | Self::Go) {
            builder.env("PATH", self.component_tools(root)?);
        }
        Ok(builder)
    }

    /// `PATH`, with the tools that make components of modules before all else.
    fn component_tools(self, root: &Path) -> anyhow::Result<OsString> {
        let mut folder = cargo_tools::provide(root, &cargo_tools::WASM_TOOLS)?;
        if self != Self::Rust {
            folder = cargo_tools::provide(root, &cargo_tools::WIT_BINDGEN)?;
        }
        let path = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths(std::iter::once(folder).chain(std::env::split_paths(&path)))
            .context("PATH cannot be extended")
    }
}
