//! Names of functions: what stands in files, what runtimes write, and what compilers make of names.

use std::fmt::Debug;

use profiler_core::native::elf::{ElfFile, FileId};
use profiler_core::native::perf_map::PerfMap;
use profiler_core::native::symbols::{MAX_NAME, Sources, SymbolFile, SymbolTable};
use profiler_core::symbolizer::{Demangle, demangle};

/// What does not hold.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A lookup by halves would find another function.
    #[error("functions are not in order: {0:#x} to {1:#x}, then from {2:#x}")]
    Order(u64, u64, u64),
    /// What was written is not what is read.
    #[error("what is at {address:#x} was written as {written:?} and is read as {read:?}")]
    Changed {
        /// The address asked for.
        address: u64,
        /// The table's.
        written: String,
        /// The answer's.
        read: String,
    },
    /// A table that was written cannot be opened.
    #[error("a table that was written cannot be read: {0}")]
    Unreadable(String),
    /// More memory than the input is worth.
    #[error("an input of {length} bytes makes {made} of {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// The input, in bytes.
        length: usize,
        /// As much was made.
        made: usize,
    },
}

/// So many bytes come of one at most: sections may be compressed.
const GROWTH: usize = 4096;
/// Lookups in one table.
const LOOKUPS: usize = 256;
const ID: FileId = FileId([7; 16]);

/// Whether everything holds that must hold for any input: its first byte says what the rest is. A panic is a failure
/// too, and comes through.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(input: &[u8]) -> Result<(), Broken> {
    let Some((kind, rest)) = input.split_first() else { return Ok(()) };
    match kind {
        0 => check_elf(rest),
        1 => check_elf(&file(&[(".gopclntab", rest)])),
        2 => check_elf(&file(&[(".gnu_debugdata", rest)])),
        3 => check_elf(&file(&split(rest, [".symtab", ".strtab"]))),
        4 => check_elf(&file(&split(
            rest,
            [".debug_info", ".debug_abbrev", ".debug_line", ".debug_ranges", ".debug_str"],
        ))),
        5 => check_written(rest),
        6 => check_perf_map(rest),
        _ => check_name(rest),
    }
}

fn check_elf(bytes: &[u8]) -> Result<(), Broken> {
    let Ok(file) = ElfFile::in_memory(bytes.to_vec()) else { return Ok(()) };
    let Ok(table) = SymbolTable::build(&file, &Sources { debug: Some(&file), lines: true }) else { return Ok(()) };
    let functions: Vec<(u64, u64, &[u8])> = table.functions().collect();
    for pair in functions.array_windows::<2>() {
        let [(start, end, _), (next, ..)] = pair;
        if start >= end || end > next {
            return Err(Broken::Order(*start, *end, *next));
        }
    }
    let mut written = Vec::new();
    // Memory takes all of it.
    let _written = table.write(ID, &mut written).is_ok();
    if written.len() > GROWTH * bytes.len() {
        return Err(Broken::TooMany { what: "bytes", length: bytes.len(), made: written.len() });
    }
    let opened = SymbolFile::open(written, ID).map_err(|damage| Broken::Unreadable(damage.to_string()))?;
    for (start, end, name) in functions.iter().take(LOOKUPS) {
        for address in [*start, end - 1] {
            let mut found = Vec::new();
            let looked_up = opened.lookup(address, &mut found);
            let read = found.pop().map(|location| String::from(location.name)).unwrap_or_default();
            let written = String::from_utf8_lossy(name).into_owned();
            if looked_up.is_err() || read != written {
                return Err(Broken::Changed { address, written, read });
            }
        }
    }
    Ok(())
}

/// Changes to a table on the disk: { u16 place, u8 value } each, for any bit of it may have gone wrong.
fn check_written(changes: &[u8]) -> Result<(), Broken> {
    const FILE: &[u8] = include_bytes!("../../profiler-core/tests/native/named-x86_64.elf");
    let Ok(file) = ElfFile::in_memory(FILE.to_vec()) else { return Ok(()) };
    let Ok(table) = SymbolTable::build(&file, &Sources { debug: None, lines: true }) else { return Ok(()) };
    let mut written = Vec::new();
    let _written = table.write(ID, &mut written).is_ok();
    for change in changes.as_chunks::<3>().0 {
        let [low, high, value] = change;
        // The header and its digest are no place for chance.
        let place = usize::from(u16::from_le_bytes([*low, *high]));
        if let Some(byte) = written.get_mut(place) {
            *byte = *value;
        }
    }
    let Ok(opened) = SymbolFile::open(written, ID) else { return Ok(()) };
    for (start, ..) in table.functions().take(LOOKUPS) {
        let mut found = Vec::new();
        // A refusal is an answer.
        let _damaged = opened.lookup(start, &mut found).is_err();
        let longest =
            found.iter().map(|location| location.name.len().max(location.file.len())).max().unwrap_or_default();
        // What is no UTF-8 takes three bytes for one.
        if longest > 3 * MAX_NAME {
            return Err(Broken::TooMany { what: "a name's bytes", length: changes.len(), made: longest });
        }
    }
    Ok(())
}

fn check_perf_map(text: &[u8]) -> Result<(), Broken> {
    const LIMIT: usize = 64 << 10;
    /// The longest name of one more line, and the text's own growth.
    const MOST: usize = 2 * LIMIT + (64 << 10);
    let mut map = PerfMap::default();
    // Memory is always read.
    let _read = map.add_lines(text, LIMIT).is_ok();
    if map.footprint() > MOST {
        return Err(Broken::TooMany { what: "a map's bytes", length: text.len(), made: map.footprint() });
    }
    for word in text.as_chunks::<8>().0.iter().take(LOOKUPS) {
        let _name = map.find(u64::from_le_bytes(*word));
    }
    Ok(())
}

fn check_name(name: &[u8]) -> Result<(), Broken> {
    const MOST: usize = 64 << 10;
    let name = String::from_utf8_lossy(name);
    for mode in [Demangle::Simplified, Demangle::Templates, Demangle::Full] {
        let made = demangle(&name, mode).map_or(0, |text| text.len());
        if made > MOST {
            return Err(Broken::TooMany { what: "a name's bytes", length: name.len(), made });
        }
    }
    Ok(())
}

/// Cuts an input into sections: before each but the last stands its length, in two bytes.
fn split<'i, const N: usize>(mut input: &'i [u8], names: [&'static str; N]) -> [(&'static str, &'i [u8]); N] {
    names.map(|name| {
        let (length, rest) =
            input.split_first_chunk().map_or((0, input), |(length, rest)| (u16::from_le_bytes(*length), rest));
        let (section, rest) = rest.split_at_checked(length.into()).unwrap_or((rest, &[]));
        input = rest;
        (name, section)
    })
}

/// A program of 4 KiB of code at 0x1000, and these sections.
fn file(sections: &[(&str, &[u8])]) -> Vec<u8> {
    const HEADER: usize = 64;
    const CODE: usize = 0x1000;
    let mut bytes = vec![0; 2 * CODE];
    let names: Vec<u8> = sections.iter().flat_map(|(name, _)| name.bytes().chain([0])).collect();
    let names = [b"\0.text\0.names\0", &names[..]].concat();
    let mut headers = section(0, [0; 4], 0);
    headers.extend(section(1, [6, CODE, CODE, CODE], 0));
    let mut name = b"\0.text\0.names\0".len();
    for (link, (text, content)) in (3..).zip(sections) {
        headers.extend(section(name, [2, 0x10_0000, bytes.len(), content.len()], link));
        name += text.len() + 1;
        bytes.extend_from_slice(content);
    }
    headers.extend(section(7, [0, 0, bytes.len(), names.len()], 0));
    bytes.extend_from_slice(&names);

    let count = sections.len() + 3;
    let mut header = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0");
    header.extend([0, HEADER, bytes.len()].map(usize::to_le_bytes).as_flattened());
    header.extend([0; 4]);
    header.extend([HEADER, 56, 1, 64, count, count - 1].map(|half| (half as u16).to_le_bytes()).as_flattened());
    // The one segment: loaded, readable and executable.
    header.extend([1, 0, 0, 0, 5, 0, 0, 0]);
    header.extend([CODE; 6].map(usize::to_le_bytes).as_flattened());
    bytes.splice(..header.len(), header);
    bytes.extend(headers);
    bytes
}

/// A section's header, with its flags, address, place and size.
fn section(name: usize, words: [usize; 4], link: u32) -> Vec<u8> {
    let kind = u32::from(name > 0);
    let mut header = Vec::from((name as u32).to_le_bytes());
    header.extend(kind.to_le_bytes());
    header.extend(words.map(usize::to_le_bytes).as_flattened());
    header.extend(link.to_le_bytes());
    header.resize(64, 0);
    header
}
