//! Texts in the sections of debug information.

use gimli::{AttributeValue, Section as _};

use super::{Dwarf, Reader, Unit};

/// What begins with a text that ends with a zero; how long it is nobody has looked yet, for very many may be said to be
/// very long.
pub(super) fn text<'d>(dwarf: &Dwarf<'d>, unit: &Unit<'d>, value: &AttributeValue<Reader<'d>>) -> Option<&'d [u8]> {
    let offset = match value {
        AttributeValue::String(text) => return Some(text.slice()),
        AttributeValue::DebugStrRef(offset) => *offset,
        AttributeValue::DebugStrOffsetsIndex(index) => {
            let format = unit.header.encoding().format;
            dwarf.debug_str_offsets.get_str_offset(format, unit.str_offsets_base, *index).ok()?
        }
        AttributeValue::DebugLineStrRef(offset) => return dwarf.debug_line_str.reader().slice().get(offset.0..),
        _ => return None,
    };
    dwarf.debug_str.reader().slice().get(offset.0..)
}
