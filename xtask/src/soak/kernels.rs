//! Boots kernels of Debian in QEMU and samples in them.
//!
//! Nothing of the host's kernel is asked for, neither KVM nor BPF: the guests' processors are QEMU's own. Packages are
//! fetched from where this machine fetches its own, and neither installed nor kept apart from `target/`.

mod guest;
mod verdict;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};

use crate::{debian, steps};

/// Debian's releases, and the kernels that they have.
const RELEASES: [(&str, &str); 2] = [("bookworm", "6.1."), ("trixie", "6.12.")];

/// Runs them all, one after the other.
///
/// # Errors
/// A kernel cannot be had or does not boot, or what was sampled there is not what ran.
pub(super) fn run(root: &Path) -> anyhow::Result<()> {
    provide_tools()?;
    let folder = root.join("target/kernels");
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let initramfs = guest::initramfs(root, &folder)?;
    for (release, version) in RELEASES {
        let kernel = Apt::new(&folder, release)?.kernel(version)?;
        let printed = guest::boot(&kernel, &initramfs)?;
        fs::write(folder.join(format!("{release}.log")), &printed)?;
        let verdict = verdict::judge(&printed).with_context(|| {
            format!("{}: all that it printed is in {}/{release}.log", kernel.display(), folder.display())
        })?;
        println!("{release}, {}: {verdict}", kernel.file_name().unwrap_or_default().display());
    }
    Ok(())
}

fn provide_tools() -> anyhow::Result<()> {
    if debian::on_path("qemu-system-x86_64").is_none() {
        debian::install(&["qemu-system-x86"])?;
    }
    if debian::on_path("cpio").is_none() {
        debian::install(&["cpio"])?;
    }
    Ok(())
}

/// apt with one release as its only source, and folders of its own.
struct Apt {
    folder: PathBuf,
    options: Vec<String>,
}

impl Apt {
    fn new(folder: &Path, release: &str) -> anyhow::Result<Self> {
        let folder = folder.join(release);
        fs::create_dir_all(folder.join("lists/partial"))?;
        fs::create_dir_all(folder.join("cache/archives/partial"))?;
        let sources = folder.join("sources.list");
        let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
        fs::write(&sources, format!("deb [signed-by={keys}] {} {release} main\n", mirror()?))?;
        let options = [
            format!("Dir::Etc::sourcelist={}", sources.display()),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={}", folder.join("lists").display()),
            format!("Dir::Cache={}", folder.join("cache").display()),
        ];
        Ok(Self { folder, options: options.into_iter().flat_map(|option| ["-o".to_owned(), option]).collect() })
    }

    /// Fetches the release's kernel where it is not here, and unpacks it.
    fn kernel(&self, version: &str) -> anyhow::Result<PathBuf> {
        steps::run(self.command("apt-get").args(["update", "--quiet"]))?;
        let depends = printed(self.command("apt-cache").args(["depends", "linux-image-amd64"]))?;
        let package = depends
            .split_ascii_whitespace()
            .find(|word| word.starts_with(&format!("linux-image-{version}")))
            .with_context(|| format!("linux-image-amd64 is no kernel {version}: {depends}"))?;
        let unpacked = self.folder.join(package);
        if !unpacked.is_dir() {
            steps::run(self.command("apt-get").current_dir(&self.folder).args(["download", "--quiet", package]))?;
            let archive = only_file(&self.folder, |name| name.starts_with(package) && name.ends_with(".deb"))?;
            steps::run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&unpacked))?;
            fs::remove_file(archive)?;
        }
        only_file(&unpacked.join("boot"), |name| name.starts_with("vmlinuz-"))
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(&self.options);
        command
    }
}

/// Where this machine has Debian's packages from.
fn mirror() -> anyhow::Result<String> {
    let format = "$(ORIGIN) $(COMPONENT) $(REPO_URI) $(RELEASE)";
    let sources = printed(Command::new("apt-get").args(["indextargets", "--format", format, "Created-By: Packages"]))?;
    let is_plain = |release: &str| !release.contains('-');
    sources
        .lines()
        .find_map(|line| match line.split(' ').collect::<Vec<_>>()[..] {
            ["Debian", "main", uri, release] if is_plain(release) => Some(uri.to_owned()),
            _ => None,
        })
        .context("apt has no source of Debian's packages: this needs a Debian, and `apt-get update` there")
}

fn only_file(folder: &Path, is_meant: impl Fn(&str) -> bool) -> anyhow::Result<PathBuf> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut found = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(&is_meant));
    found.next().with_context(|| format!("{} does not have what the package should bring", folder.display()))
}

fn printed(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("running {command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
