//! The profilers that ours is compared with: at pinned versions and digests, in `.test-tools/`. async-profiler is fetched
//! for `pyroscope.java`, and Node brings its own.

use std::path::Path;

use anyhow::Result;

use crate::{debian, java, steps, wheels};

const PY_SPY: (&str, &[&str]) = (
    "py-spy==0.4.3",
    &[
        "8a4277225f470d394a85cca0cdd944bef87f0097b6f20150a6dd3ac2e92806b8",
        "bbcec46930d464b3bfc142d6d02ade4dd8ad5627823263b3eff0280e80c7c132",
    ],
);

/// Installs those that are not there, and compares.
///
/// # Errors
/// A registry does not have one, or has something else than was pinned; stacks that differ.
pub(crate) fn run(root: &Path) -> Result<()> {
    debian::provide_compilers()?;
    java::provide(root)?;
    let (package, digests) = PY_SPY;
    wheels::provide(&root.join(".test-tools/py-spy"), package, digests)?;
    steps::run(&mut steps::test(root, "--test runtimes -- --ignored --test-threads=1 oracles::"))
}
