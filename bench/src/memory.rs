//! The memory of this process.

use anyhow::Context;
use procfs::process::Process;

/// What is resident now, in bytes.
pub(crate) fn resident() -> anyhow::Result<u64> {
    Ok(Process::myself()?.status()?.vmrss.context("the kernel names no resident memory")? * 1024)
}
