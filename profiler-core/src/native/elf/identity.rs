//! Which file a file is.

use std::fmt;

use object::elf::{NT_GNU_BUILD_ID, SHT_NOBITS};
use sha2::{Digest, Sha256};

use super::{ElfError, ElfFile, Section, Segment, Source};

/// As much is read from each end of the file, in bytes.
const END: u64 = 4 << 10;
/// Most bytes of notes that are looked into at once, and most places with notes.
const MAX_NOTES: u64 = 64 << 10;
const MAX_PLACES: usize = 16;
/// Longest id, in bytes: GNU's has 20, Go's 83.
const MAX_ID: usize = 256;
const GO_BUILD_ID: u32 = 4;

/// Tells files apart: made of the length, the first and last 4 KiB, and the build id.
///
/// The build id alone would not do: a file that is stripped keeps it and loses its symbols, and any file may claim
/// any other's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub [u8; 16]);

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

/// What a linker called the file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum BuildId {
    /// `NT_GNU_BUILD_ID`: any bytes, mostly 20.
    Gnu(Box<[u8]>),
    /// Go's own, for programs that have none of GNU's.
    Go(Box<str>),
}

impl fmt::Display for BuildId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildId::Gnu(bytes) => hex(bytes, f),
            BuildId::Go(text) => f.write_str(text),
        }
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

pub(super) fn file_id(source: &Source, build_id: Option<&BuildId>) -> Result<FileId, ElfError> {
    let length = source.length();
    let mut hash = Sha256::new();
    for offset in [0, length.saturating_sub(END)] {
        hash.update(source.read("an end of the file", offset, length.min(END), END)?);
    }
    hash.update(length.to_le_bytes());
    match build_id {
        Some(BuildId::Gnu(bytes)) => hash.update(bytes),
        Some(BuildId::Go(text)) => hash.update(text.as_bytes()),
        None => {}
    }
    let hash: [u8; 32] = hash.finalize().into();
    Ok(FileId(hash.first_chunk().copied().unwrap_or_default()))
}

/// From the segments of notes, which no tool removes, or from the sections. Notes that cannot be read are none.
pub(super) fn build_id(file: &ElfFile, segments: impl Iterator<Item = Segment>) -> Option<BuildId> {
    let segments = segments.map(|segment| (segment.offset, segment.size));
    let sections = [".note.gnu.build-id", ".note.go.buildid"].into_iter().filter_map(|name| file.section(name));
    let sections =
        sections.filter(|section| section.kind != SHT_NOBITS).map(|section: &Section| (section.offset, section.size));
    let mut go = None;
    for (offset, size) in segments.take(MAX_PLACES).chain(sections) {
        let Ok(notes) = file.source.read("notes", offset, size, MAX_NOTES) else { continue };
        match in_notes(&notes) {
            Some(gnu @ BuildId::Gnu(_)) => return Some(gnu),
            found => go = go.or(found),
        }
    }
    go
}

/// Notes are { u32 length of the name, u32 length of the data, u32 type }, name and data, each filled up to 4 bytes.
fn in_notes(mut notes: &[u8]) -> Option<BuildId> {
    let mut go = None;
    while let Some((header, rest)) = notes.split_at_checked(12) {
        let word =
            |from: usize| header.get(from..).and_then(<[u8]>::first_chunk).map_or(0, |word| u32::from_le_bytes(*word));
        let (name, rest) = take(rest, word(0))?;
        let (data, rest) = take(rest, word(4))?;
        notes = rest;
        if data.is_empty() || data.len() > MAX_ID {
            continue;
        }
        match (name, word(8)) {
            (b"GNU\0", NT_GNU_BUILD_ID) => return Some(BuildId::Gnu(data.into())),
            (b"Go\0\0", GO_BUILD_ID) => go = std::str::from_utf8(data).ok().map(|text| BuildId::Go(text.into())),
            _ => {}
        }
    }
    go
}

fn take(bytes: &[u8], length: u32) -> Option<(&[u8], &[u8])> {
    let length = usize::try_from(length).ok()?;
    let (taken, rest) = bytes.split_at_checked(length)?;
    let filling = length.next_multiple_of(4) - length;
    Some((taken, rest.get(filling..).unwrap_or_default()))
}
