//! `.gnu_debugdata`: an ELF file with symbols alone, compressed, inside of another.

use std::io::Read;

use lzma_rust2::XzReader;

use super::super::elf::ElfFile;

/// Largest section, in bytes.
const MAX_SECTION: u64 = 64 << 20;
/// Most that comes of it. Fedora's largest is 20 MiB.
const MAX_DECOMPRESSED: u64 = 256 << 20;
/// Most bytes that come of one: a table of symbols shrinks to a fifth.
const MAX_GROWTH: u64 = 64;
/// What the decoder may take: as the strongest preset of xz asks for.
const MAX_MEMORY_KIB: u32 = 80 << 10;

/// None where there is none, or it cannot be read.
pub(super) fn open(file: &ElfFile) -> Option<ElfFile> {
    let section = file.section(".gnu_debugdata")?;
    let compressed = file.section_bytes(section, MAX_SECTION).ok()?;
    let limit = MAX_DECOMPRESSED.min(MAX_GROWTH * u64::try_from(compressed.len()).ok()?);
    let mut bytes = Vec::new();
    let reader = XzReader::new_mem_limit(compressed.as_slice(), false, MAX_MEMORY_KIB);
    reader.take(limit).read_to_end(&mut bytes).ok()?;
    ElfFile::in_memory(bytes).ok()
}
