//! A machine that samples two programs as soon as it is booted, and is over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};

use super::printed;
use crate::steps;

/// The emulated processor needs about two minutes.
const SECONDS: &str = "900";

/// What the guest has: `init.c`, the sampler of `profiler-core/examples`, the programs of its live tests, and the
/// libraries of them all.
pub(super) fn initramfs(root: &Path, folder: &Path) -> anyhow::Result<PathBuf> {
    let files = folder.join("root");
    if files.is_dir() {
        fs::remove_dir_all(&files)?;
    }
    fs::create_dir_all(&files)?;
    let cc = |source: PathBuf, output: &str, flags: &[&str]| {
        steps::run(Command::new("cc").arg("-O2").args(flags).arg("-o").arg(files.join(output)).arg(source))
    };
    cc(root.join("xtask/src/soak/kernels/init.c"), "init", &["-static"])?;
    let target = root.join("profiler-core/tests/live/target.c");
    cc(target.clone(), "busy", &["-fomit-frame-pointer"])?;
    cc(target, "idle", &["-fomit-frame-pointer"])?;
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    steps::run(Command::new(cargo).current_dir(root).args(["build", "--package=profiler-core", "--example=sample"]))?;
    fs::copy(root.join("target/debug/examples/sample"), files.join("sample"))?;
    for program in ["sample", "busy"] {
        copy_libraries(&files, program)?;
    }
    let archive = folder.join("initramfs.cpio");
    let names = printed(Command::new("find").current_dir(&files).arg("."))?;
    let list = folder.join("files");
    fs::write(&list, names)?;
    let mut cpio = Command::new("cpio");
    cpio.current_dir(&files).args(["--create", "--format=newc", "--quiet"]);
    cpio.stdin(fs::File::open(list)?).stdout(fs::File::create(&archive)?);
    steps::run(&mut cpio)?;
    Ok(archive)
}

/// All that is printed on its first serial line.
pub(super) fn boot(kernel: &Path, initramfs: &Path) -> anyhow::Result<String> {
    println!("booting {}", kernel.display());
    let output = Command::new("timeout")
        .args([SECONDS, "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", "1024"])
        .args(["-nographic", "-no-reboot", "-nic", "none", "-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(kernel)
        .arg("-initrd")
        .arg(initramfs)
        .stdin(Stdio::null())
        .output()
        .context("running qemu-system-x86_64")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaint = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "QEMU: {}: {complaint}\n{printed}", output.status);
    Ok(printed)
}

/// To where the program looks for them.
fn copy_libraries(files: &Path, program: &str) -> anyhow::Result<()> {
    let libraries = printed(Command::new("ldd").arg(files.join(program)))?;
    for path in libraries.split_ascii_whitespace().filter(|word| word.starts_with('/')) {
        let path = path.trim_end_matches(':');
        let target = files.join(path.trim_start_matches('/'));
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::copy(path, &target).with_context(|| format!("copying {path}"))?;
    }
    Ok(())
}
