//! Installing what a fresh Debian lacks.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, ensure};

use crate::steps;

/// Installs Debian packages. What they are for stands in the error of whoever cannot install them.
///
/// # Errors
/// Not root, not Debian, or a package that cannot be had: each names the command to run by hand.
pub(crate) fn install(packages: &[&str]) -> anyhow::Result<()> {
    let list = packages.join(" ");
    let by_hand = format!("run `apt-get install {list}` as root, then this again");
    ensure!(
        on_path("apt-get").is_some(),
        "{list}: not installed, and no apt-get here; install them and run this again"
    );
    for arguments in [["update", "--quiet"].as_slice(), &["install", "--quiet", "--yes", "--no-install-recommends"]] {
        let wanted: &[&str] = if arguments.contains(&"install") { packages } else { &[] };
        let mut apt = Command::new("apt-get");
        apt.args(arguments).args(wanted).env("DEBIAN_FRONTEND", "noninteractive");
        steps::run(&mut apt).with_context(|| by_hand.clone())?;
    }
    Ok(())
}

/// Where a command is; a file that is named whole is itself.
pub(crate) fn on_path(command: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(command)).find(|file| file.is_file())
}

/// What the dependencies' C and C++ parts are built with: zlib-ng, which Pingora brings, asks for cmake, and libFuzzer
/// is C++.
pub(crate) fn provide_build_tools() -> anyhow::Result<()> {
    provide(&[("cc", "gcc"), ("c++", "g++"), ("make", "make"), ("cmake", "cmake"), ("git", "git")])
}

/// What the tests build and run the programs with whose stacks they walk.
pub(crate) fn provide_compilers() -> anyhow::Result<()> {
    provide(&[
        ("cc", "gcc"),
        ("clang-19", "clang-19"),
        ("ld.lld-19", "lld-19"),
        ("go", "golang-go"),
        ("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
        ("/usr/aarch64-linux-gnu/include/stdio.h", "libc6-dev-arm64-cross"),
        ("qemu-aarch64", "qemu-user"),
        ("musl-gcc", "musl-tools"),
        ("python3", "python3"),
        ("node", "nodejs"),
        ("ruby", "ruby"),
        ("perl", "perl"),
        ("php8.2", "php8.2-cli"),
        ("php-fpm8.2", "php8.2-fpm"),
    ])
}

/// What the tests fetch runtimes of .NET with, and compile their programs.
pub(crate) fn provide_dotnet_tools() -> anyhow::Result<()> {
    provide(&[("npm", "npm"), ("mcs", "mono-mcs"), ("tar", "tar")])
}

/// What async-profiler is fetched with.
pub(crate) fn provide_maven() -> anyhow::Result<()> {
    provide(&[("mvn", "maven")])
}

/// What the tests compile and run Java programs with, programs of another libc, and JVMs as other users.
pub(crate) fn provide_java() -> anyhow::Result<()> {
    provide(&[
        ("java", "default-jdk-headless"),
        ("javac", "default-jdk-headless"),
        ("musl-gcc", "musl-tools"),
        ("setpriv", "util-linux"),
        ("unshare", "util-linux"),
    ])
}

/// What the tests run containers with, and the program in them, which must not need libraries.
pub(crate) fn provide_containers() -> anyhow::Result<()> {
    provide(&[("podman", "podman"), ("busybox", "busybox-static"), ("unshare", "util-linux")])
}

/// What the tests of clusters make networks with.
pub(crate) fn provide_network_tools() -> anyhow::Result<()> {
    provide(&[("ip", "iproute2")])
}

/// A command or a file, and the package that brings it.
pub(crate) type Needed = (&'static str, &'static str);

/// Installs the packages of what is not there.
pub(crate) fn provide(needed: &[Needed]) -> anyhow::Result<()> {
    let missing: Vec<&str> =
        needed.iter().filter(|(what, _)| on_path(what).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() { Ok(()) } else { install(&missing) }
}

/// Debian's python3 has the module venv but not what it needs to install pip.
pub(crate) fn provide_python() -> anyhow::Result<()> {
    let ensurepip = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    if ensurepip.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    install(&["python3", "python3-venv"])
}
