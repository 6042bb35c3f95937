//! What debuggers are told: the lines of code, and the functions that were inlined.
//!
//! A unit is read at a time, once, from its beginning to its end. What a file makes of that is counted, for its bytes
//! may say the same a million times, or nest as deep as they are long.

use gimli::{EndianSlice, LittleEndian, SectionId};

use super::super::elf::{ElfError, ElfFile};
use super::functions::Candidates;
use super::source::SourceMap;
use super::strings::Strings;

use functions::Functions;
use lines::Lines;
use units::Units;

mod functions;
mod lines;
mod names;
mod units;

/// Most bytes of all sections that are read, decompressed: about as much memory is taken while they are. The programs of
/// distributions have less, the largest with all that debuggers can use have some gigabytes.
const MAX_SECTIONS: u64 = 128 << 20;

type Reader<'d> = EndianSlice<'d, LittleEndian>;
type Dwarf<'d> = gimli::Dwarf<Reader<'d>>;
type Unit<'d> = gimli::Unit<Reader<'d>>;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Read,
    /// There is nothing to read, or what there is cannot be.
    Nothing,
    /// There is more than is read.
    TooLarge,
}

/// Where what is found is put.
pub(super) struct Found<'f> {
    pub(super) candidates: &'f mut Candidates,
    pub(super) strings: &'f mut Strings,
    pub(super) source: &'f mut SourceMap,
}

/// Adds all that a file says.
pub(super) fn read(file: &ElfFile, found: &mut Found<'_>) -> Outcome {
    if file.section(".debug_info").is_none() {
        return Outcome::Nothing;
    }
    let mut left = MAX_SECTIONS;
    let loaded = gimli::DwarfSections::load(|id| load(file, id, &mut left));
    let sections = match loaded {
        Ok(sections) => sections,
        Err(ElfError::TooLarge { .. }) => return Outcome::TooLarge,
        Err(_) => return Outcome::Nothing,
    };
    let dwarf = sections.borrow(|section| EndianSlice::new(section, LittleEndian));
    let mut functions = Functions::new();
    let mut lines = Lines::new();
    let mut units = Units::new(&dwarf);
    while let Some((unit, program)) = units.next(&dwarf) {
        let calls = functions.calls();
        // What stands before the damage was read.
        let _damaged = functions.read(&dwarf, &unit, found).is_err();
        let mut files = lines::Files::new(&dwarf, &unit, program);
        let _damaged = lines.read(&mut files, found).is_err();
        functions.name_files(calls, |file| files.name(file.into(), found.strings));
    }
    found.source.cut |= units.cut || functions.cut || lines.cut;
    functions.finish(found);
    Outcome::Read
}

fn load(file: &ElfFile, id: SectionId, left: &mut u64) -> Result<Vec<u8>, ElfError> {
    let is_needed = matches!(
        id,
        SectionId::DebugAbbrev
            | SectionId::DebugAddr
            | SectionId::DebugInfo
            | SectionId::DebugLine
            | SectionId::DebugLineStr
            | SectionId::DebugRanges
            | SectionId::DebugRngLists
            | SectionId::DebugStr
            | SectionId::DebugStrOffsets
    );
    let Some(section) = file.section(id.name()).filter(|_| is_needed) else { return Ok(Vec::new()) };
    let bytes = file.section_bytes(section, *left)?;
    *left = left.saturating_sub(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    Ok(bytes)
}
