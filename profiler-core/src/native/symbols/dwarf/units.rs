//! The units of a file, one after the other.

use std::sync::Arc;

use gimli::{
    Abbreviations, AttributeValue, DebugAddrBase, DebugInfoUnitHeadersIter, DebugLineOffset, DebugLocListsBase,
    DebugRngListsBase, DebugStrOffsetsBase, DwarfFileType, Reader as _, Section as _, UnitHeader,
};

use super::{Dwarf, Reader, Unit};

/// Longest table of abbreviations, in bytes: each of them takes some ten times as much in memory.
const MAX_TABLE: usize = 2 << 20;
/// Most bytes of all, each counted for each unit that has it.
const MAX_WORK: usize = 512 << 20;
const MAX_UNITS: usize = 1 << 20;

/// Where a unit's lines are, and the folder that its files are in.
pub(super) type Program<'d> = Option<(DebugLineOffset, Option<AttributeValue<Reader<'d>>>)>;
type Found<'d> = (Unit<'d>, Program<'d>);

pub(super) struct Units<'d> {
    headers: DebugInfoUnitHeadersIter<Reader<'d>>,
    /// Many units have the table of the one before.
    last: Option<(usize, Arc<Abbreviations>)>,
    count: usize,
    work: usize,
    pub(super) cut: bool,
}

impl<'d> Units<'d> {
    pub(super) fn new(dwarf: &Dwarf<'d>) -> Self {
        Self { headers: dwarf.units(), last: None, count: 0, work: 0, cut: false }
    }

    /// The next that can be read.
    pub(super) fn next(&mut self, dwarf: &Dwarf<'d>) -> Option<Found<'d>> {
        while let Ok(Some(header)) = self.headers.next() {
            self.count += 1;
            if self.work > MAX_WORK || self.count > MAX_UNITS {
                self.cut = true;
                return None;
            }
            if let Some(found) = self.abbreviations(dwarf, &header).and_then(|table| unit(dwarf, header, table)) {
                return Some(found);
            }
        }
        None
    }

    fn abbreviations(&mut self, dwarf: &Dwarf<'d>, header: &UnitHeader<Reader<'d>>) -> Option<Arc<Abbreviations>> {
        let offset = header.debug_abbrev_offset();
        if let Some((at, table)) = &self.last
            && *at == offset.0
        {
            return Some(Arc::clone(table));
        }
        let rest = dwarf.debug_abbrev.reader().slice().get(offset.0..)?;
        let length = table_length(rest.get(..MAX_TABLE).unwrap_or(rest));
        self.work += length.unwrap_or(MAX_TABLE);
        let Some(_) = length else {
            self.cut = true;
            return None;
        };
        let table = Arc::new(dwarf.debug_abbrev.abbreviations(offset).ok()?);
        self.last = Some((offset.0, Arc::clone(&table)));
        Some(table)
    }
}

/// How long a table of abbreviations is. None where it has no end.
fn table_length(bytes: &[u8]) -> Option<usize> {
    const DW_FORM_IMPLICIT_CONST: u64 = 0x21;
    let mut rest = Reader::new(bytes, gimli::LittleEndian);
    while rest.read_uleb128().ok()? != 0 {
        let _tag = rest.read_uleb128().ok()?;
        let _has_children = rest.read_u8().ok()?;
        loop {
            let (name, form) = (rest.read_uleb128().ok()?, rest.read_uleb128().ok()?);
            if form == DW_FORM_IMPLICIT_CONST {
                rest.read_sleb128().ok()?;
            }
            if (name, form) == (0, 0) {
                break;
            }
        }
    }
    Some(bytes.len() - rest.len())
}

/// What [`gimli::Unit::new`] does, without names and lines: it would read them again for each unit that names them.
fn unit<'d>(dwarf: &Dwarf<'d>, header: UnitHeader<Reader<'d>>, abbreviations: Arc<Abbreviations>) -> Option<Found<'d>> {
    let mut unit = Unit {
        abbreviations,
        name: None,
        comp_dir: None,
        low_pc: 0,
        str_offsets_base: DebugStrOffsetsBase::default_for_encoding_and_file(header.encoding(), DwarfFileType::Main),
        addr_base: DebugAddrBase(0),
        loclists_base: DebugLocListsBase::default_for_encoding_and_file(header.encoding(), DwarfFileType::Main),
        rnglists_base: DebugRngListsBase::default_for_encoding_and_file(header.encoding(), DwarfFileType::Main),
        line_program: None,
        dwo_id: None,
        header,
    };
    let (mut program, mut folder, mut low_pc) = (None, None, None);
    let mut entries = unit.header.entries_raw(&unit.abbreviations, None).ok()?;
    let abbreviation = entries.read_abbreviation().ok()??;
    for specification in abbreviation.attributes() {
        let attribute = entries.read_attribute(*specification).ok()?;
        match (attribute.name(), attribute.value()) {
            (gimli::DW_AT_stmt_list, AttributeValue::DebugLineRef(offset)) => program = Some(offset),
            (gimli::DW_AT_comp_dir, value) => folder = Some(value),
            (gimli::DW_AT_low_pc, value) => low_pc = Some(value),
            (gimli::DW_AT_str_offsets_base, AttributeValue::DebugStrOffsetsBase(base)) => unit.str_offsets_base = base,
            (gimli::DW_AT_addr_base | gimli::DW_AT_GNU_addr_base, AttributeValue::DebugAddrBase(base)) => {
                unit.addr_base = base
            }
            (gimli::DW_AT_rnglists_base | gimli::DW_AT_GNU_ranges_base, AttributeValue::DebugRngListsBase(base)) => {
                unit.rnglists_base = base;
            }
            _ => {}
        }
    }
    // It may be in a table whose place is said behind it.
    if let Some(low_pc) = low_pc {
        unit.low_pc = dwarf.attr_address(&unit, low_pc).ok().flatten().unwrap_or_default();
    }
    Some((unit, program.map(|program| (program, folder))))
}
