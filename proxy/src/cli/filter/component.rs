//! A component in a file, read and compiled.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail, ensure};
use bytes::Bytes;

use super::contract::Fit;
use super::interfaces::Interfaces;
use crate::filters::{CompileError, FilterHost, MAX_COMPONENT, MAX_PROFILE, Module};

/// Most bytes of a file of labels, rows or cases.
const MAX_TEXT: u64 = 64 << 20;

/// The bytes of a component's file.
pub(super) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    read_at_most(path, MAX_COMPONENT)
}

/// A file of text.
pub(super) fn read_text(path: &Path) -> anyhow::Result<String> {
    let bytes = read_at_most(path, MAX_TEXT)?;
    String::from_utf8(bytes).with_context(|| format!("{} is not UTF-8", path.display()))
}

/// A file of a profile.
pub(super) fn read_profile(path: &Path) -> anyhow::Result<Bytes> {
    Ok(read_at_most(path, MAX_PROFILE as u64)?.into())
}

/// The filter in a file, ready to be called.
pub(super) fn load(path: &Path) -> anyhow::Result<Module> {
    let bytes = read(path)?;
    let of_the_file = || path.display().to_string();
    let interfaces = Interfaces::read(&bytes).with_context(of_the_file)?;
    match FilterHost::for_tools().load(&bytes) {
        Ok((module, _)) => Ok(module),
        Err(error @ CompileError::World(_)) => {
            let Fit { world, problems } = Fit::of(&interfaces);
            if problems.is_empty() {
                return Err(error).with_context(of_the_file);
            }
            bail!("{} is no {}:\n  {}", path.display(), world.name, problems.join("\n  "));
        }
        Err(error) => Err(error).with_context(of_the_file),
    }
}

fn read_at_most(path: &Path, most: u64) -> anyhow::Result<Vec<u8>> {
    let cannot = || format!("cannot read {}", path.display());
    let file = File::open(path).with_context(cannot)?;
    // A pipe would block until someone writes to it.
    ensure!(file.metadata().with_context(cannot)?.is_file(), "cannot read {}: it is no file", path.display());
    let mut bytes = Vec::new();
    file.take(most + 1).read_to_end(&mut bytes).with_context(cannot)?;
    ensure!(bytes.len() as u64 <= most, "{} is larger than {}MiB, the most it may be", path.display(), most >> 20);
    Ok(bytes)
}
