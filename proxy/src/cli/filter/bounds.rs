//! The flags that bound a filter, as the arguments of `wasm.filter` do.

use std::time::Duration;

use bytesize::ByteSize;
use clap::Args;

use crate::filters::{Capability, LONGEST_TIMEOUT, MAX_MEMORY};

/// The most memory of an instance.
#[derive(Debug, Clone, Args)]
pub(super) struct MemoryLimit {
    /// The most memory of an instance, as `memory_limit` of `wasm.filter`
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = memory_limit)]
    memory_limit: usize,
}

impl MemoryLimit {
    pub(super) fn bytes(&self) -> usize {
        self.memory_limit
    }
}

/// What a filter may use.
#[derive(Debug, Clone, Args)]
pub(super) struct Grants {
    /// What the filter may use besides what it is handed, as `capabilities` of `wasm.filter`: clock
    #[arg(long = "grant", value_name = "CAPABILITY")]
    granted: Vec<Capability>,
}

impl Grants {
    pub(super) fn all(&self) -> Vec<Capability> {
        self.granted.clone()
    }
}

/// How long a call may take, as people write it.
pub(super) fn timeout(text: &str) -> Result<Duration, String> {
    let timeout = humantime::parse_duration(text).map_err(|_| "write it as \"50ms\" or \"2s\"".to_owned())?;
    if timeout.is_zero() || timeout > LONGEST_TIMEOUT {
        return Err(format!("must be longer than 0s and at most {LONGEST_TIMEOUT:?}, as in `wasm.filter`"));
    }
    Ok(timeout)
}

fn memory_limit(text: &str) -> Result<usize, String> {
    let size: ByteSize = text.parse().map_err(|_| "write it as \"64MiB\"".to_owned())?;
    match usize::try_from(size.as_u64()) {
        Ok(bytes @ 1..=MAX_MEMORY) => Ok(bytes),
        _ => Err(format!("must be greater than 0 and at most {}MiB, as in `wasm.filter`", MAX_MEMORY >> 20)),
    }
}
