//! `runtime.firstmoduledata`: where Go's own tables and its code are. Programs that are loaded anywhere have it in
//! their relocations.

use object::elf::{R_AARCH64_RELATIVE, R_X86_64_RELATIVE, SHF_WRITE};

use super::super::super::elf::{ElfFile, Machine, Section};
use super::table::{Table, Version, read_word};
use super::{MAX_SEARCHED, MAX_SECTION, data_sections};

/// What is at which place in it, in words.
const NAMES: u64 = 1;
const TEXT: u64 = 22;
/// From 1.20 on two words more are before it.
const FUNCTION_DATA: u64 = 40;
/// `Elf64_Rela`: { u64 place; u64 what; i64 addend }.
const RELOCATION: usize = 24;
/// Most bytes of data that is searched.
const MAX_DATA: u64 = 64 << 20;

#[derive(Debug)]
pub(super) struct Module {
    /// Where the code begins that functions are counted from.
    pub(super) text: u64,
    /// Where the data of functions begins.
    function_data: Option<u64>,
}

impl Module {
    /// None where it is not found: `address` is that of the table.
    pub(super) fn find(file: &ElfFile, address: u64, table: &Table<'_>) -> Option<Self> {
        let relocations = relocations(file);
        let names = address.checked_add(table.names_offset)?;
        let relocated = |at: u64| {
            let place = relocations.binary_search_by_key(&at, |(place, _)| *place).ok()?;
            relocations.get(place).map(|(_, addend)| *addend)
        };
        let module = |at: u64, word: &dyn Fn(u64) -> Option<u64>| {
            let word = |place: u64| at.checked_add(place * 8).and_then(word);
            let is_it = word(0) == Some(address) && word(NAMES) == Some(names);
            let function_data = (table.version >= Version::Go120).then(|| word(FUNCTION_DATA)).flatten();
            is_it.then(|| Some(Self { text: word(TEXT)?, function_data })).flatten()
        };
        let mut pointers = relocations.iter().filter(|(_, addend)| *addend == address);
        if let Some(found) = pointers.find_map(|(at, _)| module(*at, &relocated)) {
            return Some(found);
        }
        // It lies in `.go.module`, `.noptrdata` or `.data`.
        let is_searched = |section: &&Section| section.flags & u64::from(SHF_WRITE) != 0 && section.size <= MAX_DATA;
        data_sections(file).filter(is_searched).take(MAX_SEARCHED).find_map(|section| {
            let bytes = file.section_bytes(section, MAX_DATA).ok()?;
            let word = |at: u64| read_word(&bytes, usize::try_from(at.checked_sub(section.address)?).ok()?);
            let mut places = (section.address..).step_by(8).zip(bytes.as_chunks::<8>().0);
            places.find_map(|(at, first)| (u64::from_le_bytes(*first) == address).then(|| module(at, &word))?)
        })
    }

    /// The bytes from where data of functions begins.
    pub(super) fn function_data(&self, file: &ElfFile) -> Option<Vec<u8>> {
        let from = self.function_data?;
        let section = data_sections(file)
            .find(|section| from.checked_sub(section.address).is_some_and(|at| at < section.size))?;
        let mut bytes = file.section_bytes(section, MAX_SECTION).ok()?;
        bytes.drain(..usize::try_from(from - section.address).ok()?.min(bytes.len()));
        Some(bytes)
    }
}

/// Words that are an address in the file, by their places.
fn relocations(file: &ElfFile) -> Vec<(u64, u64)> {
    let relative = match file.machine() {
        Machine::X86_64 => R_X86_64_RELATIVE,
        Machine::Aarch64 => R_AARCH64_RELATIVE,
    };
    let sections = [".rela.dyn", ".rela"].into_iter().filter_map(|name| file.section(name));
    let bytes: Vec<Vec<u8>> = sections.filter_map(|section| file.section_bytes(section, MAX_SECTION).ok()).collect();
    let mut found: Vec<(u64, u64)> = bytes
        .iter()
        .flat_map(|bytes| bytes.as_chunks::<RELOCATION>().0)
        .filter_map(|entry| {
            let word = |place: usize| read_word(entry, place * 8);
            (word(1)? == u64::from(relative)).then_some((word(0)?, word(2)?))
        })
        .collect();
    found.sort_unstable();
    found
}
