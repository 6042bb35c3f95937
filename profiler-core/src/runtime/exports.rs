//! The places that a file's symbols name, and what is there.

use std::collections::HashMap;

use object::elf::SHT_NOBITS;

use crate::native::elf::{ElfFile, Section};

/// Where a symbol is in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Export {
    pub(super) address: u64,
    /// In bytes; 0 where that is not said.
    pub(super) size: u64,
}

/// Largest table of symbols, and of their names, in bytes.
const MAX_TABLE: u64 = 64 << 20;
/// `Elf64_Sym`: { u32 name; u8 info; u8 other; u16 section; u64 value; u64 size }.
const ENTRY: usize = 24;

/// The symbols of these names, in this order. They are looked for where the dynamic linker does, for stripped files keep
/// these; and among all where it has nothing to do with the file.
pub(super) fn find<const N: usize>(file: &ElfFile, names: [&str; N]) -> [Option<Export>; N] {
    let mut found = [None; N];
    let Some(table) = file.section(".dynsym").or_else(|| file.section(".symtab")) else { return found };
    each(file, table, &mut |text, export| {
        let is_called = |name: &&str| {
            let rest = text.strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&0))
        };
        if let Some(found) = names.iter().position(is_called).and_then(|place| found.get_mut(place)) {
            found.get_or_insert(export);
        }
    });
    found
}

/// Most symbols that are collected.
const MAX_COLLECTED: usize = 16 << 10;
/// Longest name of those, in bytes.
const MAX_NAME: usize = 256;

/// The symbols whose names begin in one of these ways, of all that the file has.
pub(super) fn beginning(file: &ElfFile, with: &[&str]) -> HashMap<String, Export> {
    let mut found = HashMap::new();
    for table in [".dynsym", ".symtab"].into_iter().filter_map(|name| file.section(name)) {
        each(file, table, &mut |text, export| {
            if found.len() < MAX_COLLECTED
                && with.iter().any(|beginning| text.starts_with(beginning.as_bytes()))
                && let Some(end) = text.iter().take(MAX_NAME).position(|byte| *byte == 0)
                && let Some(name) = text.get(..end).and_then(|name| std::str::from_utf8(name).ok())
            {
                found.entry(name.to_owned()).or_insert(export);
            }
        });
    }
    found
}

/// What is at an address of the file; zeros where the file does not say what.
pub(super) fn content<const N: usize>(file: &ElfFile, address: u64) -> Option<[u8; N]> {
    let bytes = bytes(file, address, N)?;
    bytes.first_chunk().copied()
}

/// Most bytes that are asked for at once.
const MAX_BYTES: u64 = 64 << 20;

/// So many bytes from an address on; zeros where the file does not say what is there.
pub(super) fn bytes(file: &ElfFile, address: u64, size: usize) -> Option<Vec<u8>> {
    let is_inside = |section: &&Section| {
        section.address != 0 && address >= section.address && address - section.address < section.size
    };
    let section = file.sections().map(|(_, section)| section).find(is_inside)?;
    let within = address - section.address;
    let length = size as u64;
    if length > MAX_BYTES.min(section.size - within) {
        return None;
    }
    if section.kind == SHT_NOBITS {
        return Some(vec![0; size]);
    }
    let mut part = *section;
    part.offset = section.offset.checked_add(within)?;
    part.size = length;
    file.section_bytes(&part, length).ok()
}

/// Calls with the rest of the names' table from a symbol's name on.
fn each(file: &ElfFile, table: &Section, found: &mut dyn FnMut(&[u8], Export)) {
    let Some(strings) = file.section_at(table.link) else { return };
    let (Ok(symbols), Ok(strings)) = (file.section_bytes(table, MAX_TABLE), file.section_bytes(strings, MAX_TABLE))
    else {
        return;
    };
    for entry in symbols.as_chunks::<ENTRY>().0 {
        let [n0, n1, n2, n3, _, _, s0, s1, rest @ ..] = *entry;
        // One that is another file's.
        if u16::from_le_bytes([s0, s1]) == 0 {
            continue;
        }
        let from = usize::try_from(u32::from_le_bytes([n0, n1, n2, n3])).unwrap_or(usize::MAX);
        let Some(text) = strings.get(from..) else { continue };
        let words = u128::from_le_bytes(rest);
        found(text, Export { address: words as u64, size: (words >> 64) as u64 });
    }
}
