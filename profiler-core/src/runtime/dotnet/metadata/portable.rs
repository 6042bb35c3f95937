//! The way to an assembly's metadata: the headers of PE/COFF, the header of the CLI (ECMA-335, II.25), the streams (II.24.2).

use super::{half, short};
use crate::runtime::memory::ReadMemory;

/// Streams of metadata: their addresses.
#[derive(Debug, Clone, Copy)]
pub(super) struct Streams {
    pub(super) tables: u64,
    pub(super) strings: u64,
}

/// `MZ`, `PE\0\0`, the number of headers with 64-bit addresses, `BSJB`
const DOS: u16 = 0x5a4d;
const PORTABLE: u32 = 0x4550;
const WIDE: u16 = 0x20b;
const METADATA: u32 = 0x424a_5342;
/// The directory of the CLI's header.
const CLI_DIRECTORY: u64 = 14;
const MAX_SECTIONS: u16 = 96;
const MAX_STREAMS: u16 = 16;

/// Where the metadata of the assembly are that begins at an address. It lies there as its file does, or each section where
/// it asks to be.
pub(super) fn metadata(memory: &dyn ReadMemory, base: u64) -> Option<u64> {
    if short(memory, base, 0)? != DOS {
        return None;
    }
    let headers = base.checked_add(half(memory, base.checked_add(0x3c)?)?.into())?;
    if half(memory, headers)? != PORTABLE {
        return None;
    }
    let optional = headers.checked_add(24)?;
    let directories = optional.checked_add(if short(memory, optional, 0)? == WIDE { 112 } else { 96 })?;
    let cli = half(memory, directories.checked_add(8 * CLI_DIRECTORY)?)?;
    let loaded = |place: u32| base.checked_add(place.into());
    let sections = optional.checked_add(short(memory, headers, 20)?.into())?;
    let count = short(memory, headers, 6)?.min(MAX_SECTIONS);
    // { char name[8]; u32 size, place, file_size, file_place; … }, of 40 bytes.
    let in_file = |place: u32| {
        (0..u64::from(count)).find_map(|section| {
            let section = sections.checked_add(40 * section)?;
            let [start, size, file] = [12, 16, 20].map(|offset| half(memory, section.wrapping_add(offset)));
            let within = place.checked_sub(start?).filter(|within| size.is_some_and(|size| *within < size))?;
            base.checked_add(file?.into())?.checked_add(within.into())
        })
    };
    root(memory, cli, loaded).or_else(|| root(memory, cli, in_file))
}

fn root(memory: &dyn ReadMemory, cli: u32, address: impl Fn(u32) -> Option<u64>) -> Option<u64> {
    let header = address(cli)?;
    let root = address(half(memory, header.checked_add(8)?)?)?;
    (half(memory, root)? == METADATA).then_some(root)
}

pub(super) fn streams(memory: &dyn ReadMemory, root: u64) -> Option<Streams> {
    // { u32 signature; u16 major, minor; u32 reserved; u32 length; char version[length]; u16 flags; u16 count; … }
    let length = half(memory, root.checked_add(12)?)?;
    let mut at = root.checked_add(16)?.checked_add(length.into())?;
    let count = short(memory, at, 2)?.min(MAX_STREAMS);
    at = at.checked_add(4)?;
    let (mut tables, mut strings) = (None, None);
    for _ in 0..count {
        // { u32 place; u32 size; char name[] }, up to a multiple of four bytes.
        let place = root.checked_add(half(memory, at)?.into())?;
        let name = super::text(memory, at.checked_add(8)?, 32)?;
        match name.as_str() {
            "#~" => tables = Some(place),
            "#Strings" => strings = Some(place),
            _ => {}
        }
        at = at.checked_add(8 + (name.len() as u64 + 1).next_multiple_of(4))?;
    }
    Some(Streams { tables: tables?, strings: strings? })
}
