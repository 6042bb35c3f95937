//! The CPU time of this process.

use procfs::process::Process;

/// Of all its threads until now, in the kernel too.
pub(crate) fn seconds() -> anyhow::Result<f64> {
    let stat = Process::myself()?.stat()?;
    Ok((stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64)
}
