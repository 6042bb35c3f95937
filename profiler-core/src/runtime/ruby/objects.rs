//! Objects of a process: texts, arrays, and what they say they are.

use super::layout::{Layout, Text};
use crate::runtime::memory::ReadMemory;

/// Longest text, in bytes; the rest of it is left out. Paths have no more.
const MAX_TEXT: u64 = 4096;

/// `enum ruby_value_type`, in the lowest five bits of an object's flags.
pub(super) const CLASS: u64 = 0x02;
pub(super) const MODULE: u64 = 0x03;
const STRING: u64 = 0x05;
const ARRAY: u64 = 0x07;
/// `T_IMEMO` with `imemo_ment` and `imemo_iseq`.
pub(super) const METHOD_ENTRY: u64 = 0x601a;
pub(super) const CODE: u64 = 0x701a;

/// The objects of a process.
#[derive(Clone, Copy)]
pub(super) struct Objects<'m> {
    pub(super) memory: &'m dyn ReadMemory,
    pub(super) layout: &'m Layout,
}

impl Objects<'_> {
    pub(super) fn field(&self, object: u64, offset: u16) -> Option<u64> {
        self.memory.word(object.wrapping_add(offset.into()))
    }

    pub(super) fn flags(&self, object: u64) -> Option<u64> {
        // What is no address is a number, a symbol, or nil and the like.
        if object & 7 != 0 || object < 4096 { None } else { self.memory.word(object) }
    }

    pub(super) fn kind(&self, object: u64) -> Option<u64> {
        Some(self.flags(object)? & 0x1f)
    }

    /// What the interpreter itself keeps as objects.
    pub(super) fn internal_kind(&self, object: u64) -> Option<u64> {
        Some(self.flags(object)? & 0xf01f)
    }

    /// `struct RString`
    pub(super) fn text(&self, object: u64) -> Option<String> {
        let flags = self.flags(object).filter(|flags| flags & 0x1f == STRING)?;
        // RSTRING_NOEMBED
        let is_outside = flags >> 13 & 1 == 1;
        let (length, start) = match (is_outside, self.layout.text) {
            (true, _) => (self.field(object, 16)?, self.field(object, 24)?),
            (false, Text::Length) => (self.field(object, 16)?, object.wrapping_add(24)),
            (false, Text::Flags) => (flags >> 14 & 0x1f, object.wrapping_add(16)),
        };
        let mut bytes = vec![0; usize::try_from(length.min(MAX_TEXT)).ok()?];
        self.memory.read(start, &mut bytes).then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// `struct RArray`: how many elements, and where they are.
    pub(super) fn array(&self, object: u64) -> Option<(u64, u64)> {
        let flags = self.flags(object).filter(|flags| flags & 0x1f == ARRAY)?;
        // RARRAY_EMBED_FLAG
        if flags >> 13 & 1 == 1 {
            return Some((flags >> 15 & 0x7f, object.wrapping_add(16)));
        }
        Some((self.field(object, 16)?, self.field(object, 32)?))
    }

    pub(super) fn element(&self, array: u64, place: u64) -> Option<u64> {
        let (length, start) = self.array(array)?;
        if place >= length { None } else { self.memory.word(start.wrapping_add(place.wrapping_mul(8))) }
    }
}
