//! Values of Perl: subroutines, names of variables, packages.

use super::layout::Layout;
use crate::runtime::memory::ReadMemory;

/// Longest name, in bytes; the rest of it is left out. Paths have no more.
const MAX_NAME: u32 = 4096;

/// `svtype`, in the lowest byte of a value's flags.
pub(super) const VARIABLE: u64 = 9;
const PACKAGE: u64 = 12;
pub(super) const SUB: u64 = 13;
pub(super) const FORMAT: u64 = 14;
/// `SVf_OOK`: a hash has more than its elements.
const HAS_MORE: u64 = 0x0200_0000;

/// The values of a process.
#[derive(Clone, Copy)]
pub(super) struct Objects<'m> {
    pub(super) memory: &'m dyn ReadMemory,
    pub(super) layout: &'m Layout,
}

impl Objects<'_> {
    pub(super) fn field(&self, address: u64, offset: u16) -> Option<u64> {
        self.memory.word(address.wrapping_add(offset.into()))
    }

    /// { sv_any, sv_refcnt and sv_flags, sv_u }
    pub(super) fn kind(&self, value: u64) -> Option<u64> {
        Some(self.field(value, 8)? >> 32 & 0xff)
    }

    pub(super) fn body(&self, value: u64, kind: u64) -> Option<u64> {
        (self.kind(value)? == kind).then(|| self.memory.pointer(value)).flatten()
    }

    /// What a package is called (`HvNAME`).
    pub(super) fn package(&self, package: u64) -> Option<String> {
        let body = self.body(package, PACKAGE)?;
        if (self.field(package, 8)? >> 32) & HAS_MORE == 0 {
            return None;
        }
        let more = if self.layout.package_is_behind {
            // Behind `xhv_max` and one more elements.
            let (elements, last) = (self.field(package, 16)?, self.field(body, 24)?);
            elements.wrapping_add(last.wrapping_add(1).wrapping_mul(8))
        } else {
            body.wrapping_add(32)
        };
        // `xhv_name_u`, and `xhv_name_count` where it is of several.
        let (name, several) = (self.memory.pointer(more)?, self.field(more, 24)? >> 32 != 0);
        self.name(if several { self.memory.pointer(name)? } else { name })
    }

    /// `struct hek`: { u32 hash, i32 length, bytes }
    pub(super) fn name(&self, name: u64) -> Option<String> {
        let length = (self.memory.word(name)? >> 32) as u32;
        let mut bytes = vec![0; usize::try_from(length.min(MAX_NAME)).ok()?];
        // That of a number is negative, and no text.
        let is_text = length >> 31 == 0 && self.memory.read(name.wrapping_add(8), &mut bytes);
        is_text.then(|| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A path, which may end anywhere near the end of what can be read.
    pub(super) fn path(&self, address: u64) -> Option<String> {
        [MAX_NAME as usize, 256, 32].iter().find_map(|longest| {
            let bytes = self.memory.terminated(address, *longest)?;
            Some(String::from_utf8_lossy(&bytes).into_owned())
        })
    }
}
