//! Running other programs, with their time.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail};

/// A command in a folder, written as one string of words.
pub(crate) fn command(folder: &Path, line: &str) -> Command {
    let mut words = line.split_whitespace();
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(folder);
    command
}

/// `cargo test` over the whole workspace, of which clippy looks at every package while it is compiled, and fails it for a
/// warning: dependencies are compiled once, not for the lints and for the tests. They took ten minutes more.
pub(crate) fn test(root: &Path, arguments: &str) -> Command {
    let mut command = command(root, &format!("cargo test --workspace {arguments}"));
    // As `cargo clippy -- -D warnings` has it.
    command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver").env("CLIPPY_ARGS", "-D__CLIPPY_HACKERY__warnings");
    command
}

/// Runs a command to its end; an error names it.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let shown = format!("{command:?}").replace('"', "");
    println!("$ {shown}");
    let status = command.status().with_context(|| format!("{shown} cannot be started"))?;
    if !status.success() {
        bail!("{shown} ended with {status}");
    }
    Ok(())
}

/// Builds the binary as `cargo test --workspace` does, with the same features of all dependencies: for a test of its
/// package.
pub(crate) fn build_flamegate(root: &Path) -> anyhow::Result<()> {
    run(&mut test(root, "--no-run --test contract"))
}

/// Does something and returns the minutes it took.
pub(crate) fn timed(work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<f64> {
    let began = Instant::now();
    work()?;
    Ok(began.elapsed().as_secs_f64() / 60.0)
}
