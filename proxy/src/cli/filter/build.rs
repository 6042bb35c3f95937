//! `flamegate filter build`.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::Args;

use super::component;
use super::inspect::Findings;
use super::tell;

/// Flags of `filter build`.
#[derive(Debug, Args)]
pub struct BuildFlags {
    /// The project: a folder with a Makefile
    #[arg(default_value = ".")]
    project: PathBuf,
}

/// A program that builds call, and how it is had.
struct Tool {
    program: &'static str,
    how: &'static str,
}

const TOOLS: [Tool; 8] = [
    Tool { program: "make", how: "apt install make" },
    Tool { program: "cargo", how: "https://rustup.rs, then: rustup target add wasm32-unknown-unknown" },
    Tool { program: "wasm-tools", how: "cargo install --locked wasm-tools@1.263.0" },
    Tool { program: "wit-bindgen", how: "cargo install --locked wit-bindgen-cli@0.63.0" },
    Tool { program: "clang-19", how: "apt install clang-19 lld-19 libclang-rt-19-dev-wasm32 wasi-libc" },
    Tool { program: "go", how: "https://go.dev/dl/, 1.21 or later" },
    Tool { program: "python3", how: "apt install python3 python3-venv" },
    Tool { program: "npm", how: "apt install nodejs npm" },
];

/// What else may be missing, where a Makefile names this and make fails.
const REMINDERS: [(&str, &str); 3] = [
    ("wasm32-unknown-unknown", "where the target is missing: rustup target add wasm32-unknown-unknown"),
    ("clang-19", "where headers or libraries are missing: apt install lld-19 libclang-rt-19-dev-wasm32 wasi-libc"),
    ("venv", "where venv or pip are missing: apt install python3-venv"),
];

/// Builds it; then the same as `inspect`.
pub(super) fn run(flags: &BuildFlags) -> anyhow::Result<ExitCode> {
    let folder = &flags.project;
    let path = folder.join("Makefile");
    let makefile = component::read_text(&path)
        .context("a filter is built by its Makefile, as `flamegate filter new` writes one")?;
    let missing = missing(&makefile, &std::env::var_os("PATH").unwrap_or_default());
    if !missing.is_empty() {
        bail!("{} calls what is not installed:\n{}", path.display(), missing.join("\n"));
    }
    let status = Command::new("make").current_dir(folder).status().context("make cannot be run")?;
    if !status.success() {
        let named = REMINDERS.iter().filter(|(mark, _)| makefile.contains(mark));
        let reminders: String = named.map(|(_, reminder)| format!("\n  {reminder}")).collect();
        bail!("make failed ({status}); its messages stand above{reminders}");
    }
    let findings = Findings::of(&built(folder)?)?;
    tell(&findings.text());
    Ok(findings.code())
}

/// The one component in a project's `build/`.
pub(super) fn built(project: &Path) -> anyhow::Result<PathBuf> {
    let folder = project.join("build");
    let nothing = || format!("{} holds no component: `flamegate filter build` makes one", folder.display());
    let mut components = Vec::new();
    for entry in fs::read_dir(&folder).with_context(nothing)? {
        let path = entry.with_context(nothing)?.path();
        if path.extension().is_some_and(|extension| extension == "wasm") && is_component(&path)? {
            components.push(path);
        }
    }
    components.sort();
    match &components[..] {
        [component] => Ok(component.clone()),
        [] => bail!(nothing()),
        [first, second, ..] => {
            bail!("{} and {} are both components: name one of them", first.display(), second.display())
        }
    }
}

/// By its head: on the way to a component there are core modules.
fn is_component(path: &Path) -> anyhow::Result<bool> {
    let mut head = Vec::new();
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    file.take(8).read_to_end(&mut head).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(head.starts_with(b"\0asm") && head.get(6..) == Some(&[1, 0]))
}

/// One line for each program that the Makefile names and that no folder of `path` has.
fn missing(makefile: &str, path: &std::ffi::OsStr) -> Vec<String> {
    let is_named = |tool: &&Tool| {
        tool.program == "make"
            || makefile.split(|c: char| c.is_whitespace() || c == '=').any(|word| word == tool.program)
    };
    let is_there = |tool: &&Tool| std::env::split_paths(path).any(|folder| folder.join(tool.program).is_file());
    let missing = TOOLS.iter().filter(is_named).filter(|tool| !is_there(tool));
    missing.map(|Tool { program, how }| format!("  {program}: {how}")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::templates::{LANGUAGES, ProjectName, Subject};
    use super::*;

    #[test]
    fn what_a_makefile_calls_is_asked_for() {
        for (language, programs) in LANGUAGES.iter().zip([
            &["make", "cargo", "wasm-tools"][..],
            &["make", "wasm-tools", "wit-bindgen", "clang-19"],
            &["make", "wasm-tools", "wit-bindgen", "go"],
            &["make", "python3"],
            &["make", "npm"],
        ]) {
            let files = language.files(Subject::Labels, &ProjectName::of("x")).unwrap();
            let text = |path: &str| {
                let file = files.iter().find(|file| file.path == path).unwrap();
                std::str::from_utf8(&file.bytes).unwrap()
            };
            let lines = missing(text("Makefile"), "/nowhere".as_ref());
            let asked: Vec<&str> = lines.iter().map(|line| line.trim().split(':').next().unwrap()).collect();
            assert_eq!(asked, programs, "{language:?}");
            // The project's README tells of the same versions.
            let readme = text("README.md");
            for version in lines.iter().filter_map(|line| line.split_once("--locked ")) {
                assert!(readme.contains(version.1), "{language:?}: {}", version.1);
            }
        }
    }

    #[test]
    fn one_component_among_modules_is_found() {
        let project = tempfile::tempdir().unwrap();
        let said = || built(project.path()).map_err(|error| error.to_string());
        assert!(said().unwrap_err().contains("`flamegate filter build` makes one"));
        let folder = project.path().join("build");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("module.wasm"), b"\0asm\x01\0\0\0").unwrap();
        fs::write(folder.join("empty.wasm"), b"").unwrap();
        assert!(said().unwrap_err().contains("holds no component"));
        fs::write(folder.join("filter.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        assert_eq!(said(), Ok(folder.join("filter.wasm")));
        fs::write(folder.join("other.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
        assert!(said().unwrap_err().contains("name one of them"));
    }
}
