//! Small files of the configuration: passwords, tokens, certificates.

use std::io::{self, Read};
use std::path::Path;

/// Most bytes of such a file; bundles of all the world's authorities have a quarter of it.
const MAX_FILE: u64 = 1 << 20;

/// Reads a file whole. Blocks.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(io::Error::other(format!("larger than {MAX_FILE} bytes")));
    }
    Ok(bytes)
}
