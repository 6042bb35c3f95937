//! Files with what debuggers need, split off from others: looked for where gdb does, in the root of the process.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::Origin;
use crate::native::elf::{BuildId, ElfFile};
use crate::native::symbols::DebugLink;
use crate::process::Root;

/// Where distributions put them.
const FOLDER: &str = "/usr/lib/debug";
/// Largest whose digest is taken, in bytes; it takes a second for each gigabyte or two.
const MAX_LENGTH: u64 = 4 << 30;

/// None where nothing else is needed, or there is none.
pub(super) fn find(file: &ElfFile, origin: &Origin, lines: bool) -> Option<ElfFile> {
    let has_all = file.section(".symtab").is_some() && (!lines || file.section(".debug_info").is_some());
    if has_all {
        return None;
    }
    let root = origin.root.as_ref()?;
    by_build_id(file, root).or_else(|| by_link(file, root, &origin.path))
}

fn by_build_id(file: &ElfFile, root: &Root) -> Option<ElfFile> {
    let build_id @ BuildId::Gnu(_) = file.build_id()? else { return None };
    let digits = build_id.to_string();
    let (folder, name) = digits.split_at_checked(2).filter(|(_, name)| !name.is_empty())?;
    let found = ElfFile::open(root.open(&format!("{FOLDER}/.build-id/{folder}/{name}.debug")).ok()?).ok()?;
    (found.build_id() == Some(build_id) && found.machine() == file.machine()).then_some(found)
}

fn by_link(file: &ElfFile, root: &Root, path: &str) -> Option<ElfFile> {
    let DebugLink { name, crc } = DebugLink::of(file).ok()??;
    let path = path.strip_suffix(" (deleted)").unwrap_or(path);
    let folder = Path::new(path).parent()?.to_str()?.trim_end_matches('/');
    let places = [format!("{folder}/{name}"), format!("{folder}/.debug/{name}"), format!("{FOLDER}{folder}/{name}")];
    places.iter().find_map(|place| {
        let found = root.open(place).ok()?;
        if digest(&found).ok()? != crc {
            return None;
        }
        ElfFile::open(found).ok().filter(|found| found.machine() == file.machine())
    })
}

fn digest(file: &File) -> io::Result<u32> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() > MAX_LENGTH {
        return Err(io::Error::other("it is no file whose digest is taken"));
    }
    let mut digest = crc32fast::Hasher::new();
    let mut bytes = vec![0; 1 << 16];
    let mut offset = 0;
    // A file that grows meanwhile is read as far as it was long.
    while offset < metadata.len() {
        let length = file.read_at(&mut bytes, offset)?;
        if length == 0 {
            break;
        }
        digest.update(bytes.get(..length).unwrap_or_default());
        offset += length as u64;
    }
    Ok(digest.finalize())
}
