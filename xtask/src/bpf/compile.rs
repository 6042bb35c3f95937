//! clang for BPF, of one version: each version makes other bytes.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{debian, steps};

const CLANG: &str = "clang-19";
const STRIP: &str = "llvm-strip-19";
/// The packages of Debian that bring them.
const PACKAGES: [&str; 2] = ["clang-19", "llvm-19"];
const FLAGS: [&str; 8] = ["-target", "bpf", "-mcpu=v3", "-g", "-O2", "-Wall", "-Wextra", "-Werror"];
const SOURCE: &str = "sample.bpf.c";

pub(super) struct Toolchain {
    version: String,
}

impl Toolchain {
    pub(super) fn find_or_install() -> anyhow::Result<Self> {
        if debian::on_path(CLANG).is_none() || debian::on_path(STRIP).is_none() {
            debian::install(&PACKAGES)?;
        }
        let output = Command::new(CLANG).arg("--version").output().with_context(|| format!("running {CLANG}"))?;
        ensure!(output.status.success(), "{CLANG} --version ended with {}", output.status);
        let text = String::from_utf8(output.stdout).with_context(|| format!("reading what {CLANG} prints"))?;
        Ok(Self { version: text.lines().next().unwrap_or_default().to_owned() })
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// What clang is told besides the processor and files.
    pub(super) fn flags(&self) -> Vec<String> {
        FLAGS.iter().map(|flag| (*flag).to_owned()).collect()
    }

    /// The object for a processor, without what only debuggers read: the types that the loader needs stay.
    pub(super) fn compile(&self, root: &Path, processor: &str) -> anyhow::Result<Vec<u8>> {
        let sources = root.join("bpf");
        let folder = tempfile::Builder::new().prefix("flamegate-bpf-").tempdir()?;
        let object = folder.path().join("object.o");
        let mut clang = Command::new(CLANG);
        clang.current_dir(&sources).args(FLAGS).arg(format!("-D__TARGET_ARCH_{processor}"));
        // Types name source files: they must be called the same wherever the checkout lies.
        let prefix = sources.to_str().with_context(|| format!("{} is not UTF-8", sources.display()))?;
        clang.arg(format!("-ffile-prefix-map={prefix}=.")).args(["-c", SOURCE, "-o"]).arg(&object);
        steps::run(&mut clang)?;
        steps::run(Command::new(STRIP).arg("-g").arg(&object))?;
        fs::read(&object).with_context(|| format!("reading {}", object.display()))
    }
}
