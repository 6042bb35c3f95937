//! The places that a file's symbols name.

use crate::native::elf::ElfFile;

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
    let table = file.section(".dynsym").or_else(|| file.section(".symtab"));
    let Some((section, strings)) = table.and_then(|table| Some((table, file.section_at(table.link)?))) else {
        return found;
    };
    let (Ok(symbols), Ok(strings)) = (file.section_bytes(section, MAX_TABLE), file.section_bytes(strings, MAX_TABLE))
    else {
        return found;
    };
    for entry in symbols.as_chunks::<ENTRY>().0 {
        let [n0, n1, n2, n3, _, _, s0, s1, rest @ ..] = *entry;
        // One that is another file's.
        if u16::from_le_bytes([s0, s1]) == 0 {
            continue;
        }
        let from = usize::try_from(u32::from_le_bytes([n0, n1, n2, n3])).unwrap_or(usize::MAX);
        let Some(text) = strings.get(from..) else { continue };
        let is_called = |name: &&str| {
            let rest = text.strip_prefix(name.as_bytes());
            rest.is_some_and(|rest| rest.first() == Some(&0))
        };
        let Some(place) = names.iter().position(is_called) else { continue };
        let words: Vec<u64> = rest.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        if let ([address, size], Some(found)) = (&words[..], found.get_mut(place)) {
            found.get_or_insert(Export { address: *address, size: *size });
        }
    }
    found
}

/// Largest section of constants that is read, in bytes.
const MAX_CONSTANTS: u64 = 64 << 20;

/// So many bytes of what a symbol names, where the file has them.
pub(super) fn bytes(file: &ElfFile, symbol: Export, count: usize) -> Option<Vec<u8>> {
    let section = file.sections().map(|(_, section)| section).find(|section| {
        section.address != 0 && symbol.address >= section.address && symbol.address - section.address < section.size
    })?;
    let within = usize::try_from(symbol.address - section.address).ok()?;
    let bytes = file.section_bytes(section, MAX_CONSTANTS).ok()?;
    bytes.get(within..within.checked_add(count)?).map(<[u8]>::to_vec)
}
