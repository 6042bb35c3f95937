//! Texts of a process: `str` objects.

use super::layout::{Layout, OBJECT_TYPE, TEXT_ASCII, TEXT_COMPACT, TEXT_KIND, Text};
use crate::runtime::memory::ReadMemory;

/// Longest text, in characters; the rest of it is left out. Paths have no more bytes.
const MAX_CHARACTERS: u64 = 4096;
/// Longest name of a type that is compared.
const MAX_TYPE_NAME: usize = 8;

/// The text of an object whose type is `kind`; none of any other object.
pub(super) fn read(memory: &dyn ReadMemory, layout: &Text, kind: u64, object: u64) -> Option<String> {
    let at = |offset: u16| object.wrapping_add(offset.into());
    if memory.word(object.wrapping_add(OBJECT_TYPE))? != kind {
        return None;
    }
    let length = memory.word(at(layout.length))?.min(MAX_CHARACTERS);
    let state = memory.word(at(layout.state))? as u32;
    if state & TEXT_COMPACT == 0 {
        return None;
    }
    let characters = at(if state & TEXT_ASCII == 0 { layout.other } else { layout.ascii });
    // PyUnicode_1BYTE_KIND and so on are the sizes themselves.
    let size = u64::from((state & TEXT_KIND) >> 2);
    let mut bytes = vec![0; usize::try_from(length * size).ok()?];
    if !memory.read(characters, &mut bytes) {
        return None;
    }
    Some(match size {
        1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        2 => bytes.as_chunks().0.iter().map(|unit| character(u16::from_le_bytes(*unit).into())).collect(),
        4 => bytes.as_chunks().0.iter().map(|unit| character(u32::from_le_bytes(*unit))).collect(),
        _ => return None,
    })
}

/// A half of a pair is no character, though Python lets it be one.
fn character(unit: u32) -> char {
    char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// The type of an object, if it has this name.
pub(super) fn type_called(memory: &dyn ReadMemory, layout: &Layout, object: u64, name: &str) -> Option<u64> {
    let kind = memory.pointer(object.wrapping_add(OBJECT_TYPE))?;
    let text = memory.pointer(kind.wrapping_add(layout.type_name.into()))?;
    (memory.terminated(text, MAX_TYPE_NAME)? == name.as_bytes()).then_some(kind)
}
