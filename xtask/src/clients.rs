//! Installs the real SDK clients, the programs to be scraped and the browser's script that the end-to-end tests run: under `.test-tools/`, at pinned versions, once.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{debian, steps};

const JAVA_AGENT: &str = "io.pyroscope:agent:2.9.2";
const MAVEN_COPY: &str = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy";

/// Commands that the clients need, each with the Debian packages that bring it.
const COMMANDS: [(&str, &[&str]); 7] = [
    ("go", &["golang-go"]),
    ("node", &["nodejs"]),
    ("npm", &["npm"]),
    ("java", &["default-jdk-headless"]),
    ("javac", &["default-jdk-headless"]),
    ("mvn", &["maven"]),
    ("chromium", &["chromium"]),
];

/// Builds or fetches every client whose sources changed since the last time, or that is not there.
///
/// # Errors
/// When a command is missing and cannot be installed, or a step fails: the message names the step.
pub(crate) fn install(root: &Path) -> Result<()> {
    provide_commands()?;
    let sources = root.join("tests/clients");
    let tools = root.join(".test-tools");
    for client in [
        Client { name: "go", install: go },
        Client { name: "python-1.4", install: python },
        Client { name: "python-0.8", install: python },
        Client { name: "java", install: java },
        Client { name: "node", install: node },
        Client { name: "go-pull", install: go },
        Client { name: "node-pull", install: node },
        Client { name: "rust-pull", install: rust },
        Client { name: "browser", install: browser },
    ] {
        client.bring_up_to_date(&sources.join(client.name), &tools.join(client.name))?;
    }
    Ok(())
}

struct Client {
    name: &'static str,
    /// Installs from a folder of sources into an empty folder.
    install: fn(&Path, &Path) -> Result<()>,
}

impl Client {
    fn bring_up_to_date(&self, sources: &Path, target: &Path) -> Result<()> {
        let wanted = fingerprint(sources)?;
        // Written last: a folder without it was left half done.
        let record = target.join("installed-from");
        if fs::read_to_string(&record).is_ok_and(|installed| installed == wanted) {
            println!("clients: {} is up to date", self.name);
            return Ok(());
        }
        println!("clients: installing {} into {}", self.name, target.display());
        if target.exists() {
            fs::remove_dir_all(target).with_context(|| format!("remove {}", target.display()))?;
        }
        fs::create_dir_all(target).with_context(|| format!("create {}", target.display()))?;
        (self.install)(sources, target).with_context(|| format!("install client {}", self.name))?;
        fs::write(&record, wanted).with_context(|| format!("write {}", record.display()))
    }
}

/// Everything that decides what is installed: the text of all source files, and the pins in this file.
fn fingerprint(sources: &Path) -> Result<String> {
    let mut files = Vec::new();
    let listing = fs::read_dir(sources).with_context(|| format!("list {}", sources.display()))?;
    for entry in listing {
        let path = entry.with_context(|| format!("list {}", sources.display()))?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut text = format!("{JAVA_AGENT}\n{MAVEN_COPY}\n");
    for file in files {
        let content = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
        let name = file.strip_prefix(sources).unwrap_or(&file);
        text.push_str(&format!("=== {}\n{content}", name.display()));
    }
    Ok(text)
}

fn go(sources: &Path, target: &Path) -> Result<()> {
    // "auto" fetches the toolchain that go.mod names where the installed one is older.
    let build = Step::new("go").args(["build", "-trimpath", "-o"]).arg(target.join("busy")).arg(".");
    build.env("GOTOOLCHAIN", "auto").env("CGO_ENABLED", "0").within(sources).run()
}

fn python(sources: &Path, target: &Path) -> Result<()> {
    let venv = target.join("venv");
    Step::new("python3").args(["-m", "venv"]).arg(&venv).run()?;
    let pip = Step::new(venv.join("bin/python")).args(["-m", "pip", "install", "--quiet"]);
    // Wheels only: a build from source would need a Rust toolchain for Python.
    pip.args(["--only-binary", ":all:", "--requirement"]).arg(sources.join("requirements.txt")).run()?;
    copy(sources, target, &["busy.py"])
}

fn java(sources: &Path, target: &Path) -> Result<()> {
    let artifact = format!("-Dartifact={JAVA_AGENT}");
    let maven = Step::new("mvn").args(["-q", "-B", MAVEN_COPY, &artifact, "-Dmdep.stripVersion=true"]);
    maven.arg(format!("-DoutputDirectory={}", target.display())).run()?;
    let jar = target.join("agent.jar");
    ensure!(jar.is_file(), "{MAVEN_COPY} succeeded but left no {}", jar.display());
    let compile = Step::new("javac").args(["--release", "17", "-cp"]).arg(&jar).arg("-d").arg(target);
    compile.arg(sources.join("Busy.java")).run()
}

fn node(sources: &Path, target: &Path) -> Result<()> {
    copy(sources, target, &["package.json", "package-lock.json", "busy.js"])?;
    Step::new("npm").args(["ci", "--no-audit", "--no-fund"]).within(target).run()
}

fn browser(sources: &Path, target: &Path) -> Result<()> {
    copy(sources, target, &["package.json", "package-lock.json", "pages.mjs"])?;
    Step::new("npm").args(["ci", "--no-audit", "--no-fund"]).within(target).run()
}

fn rust(sources: &Path, target: &Path) -> Result<()> {
    let built = target.join("target");
    let build = Step::new("cargo").args(["build", "--release", "--locked", "--target-dir"]).arg(&built);
    build.within(sources).run()?;
    copy(&built.join("release"), target, &["busy"])?;
    fs::remove_dir_all(&built).with_context(|| format!("remove {}", built.display()))
}

fn copy(from: &Path, to: &Path, files: &[&str]) -> Result<()> {
    for file in files {
        let source = from.join(file);
        fs::copy(&source, to.join(file)).with_context(|| format!("copy {}", source.display()))?;
    }
    Ok(())
}

fn provide_commands() -> Result<()> {
    debian::provide_python()?;
    let missing = COMMANDS.iter().filter(|(command, _)| debian::on_path(command).is_none());
    let mut packages: Vec<&str> = missing.flat_map(|(_, packages)| packages.iter().copied()).collect();
    packages.sort_unstable();
    packages.dedup();
    if packages.is_empty() { Ok(()) } else { debian::install(&packages) }
}

/// A command to be run to its end.
struct Step(Command);

impl Step {
    fn new(program: impl AsRef<OsStr>) -> Self {
        Self(Command::new(program))
    }

    fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(arguments);
        self
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.0.env(name, value);
        self
    }

    fn within(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    fn run(mut self) -> Result<()> {
        steps::run(&mut self.0)
    }
}
