//! What Go's linker leaves in each program, stripped or not: its functions, their lines, and what was inlined.

use std::ops::Range;

use object::elf::{SHF_ALLOC, SHT_PROGBITS};

use super::super::elf::{BuildId, ElfFile, Section};
use super::functions::{Candidates, Named, Rank};
use super::source::SourceMap;
use super::strings::Strings;

use lines::Lines;
use module::Module;
use table::{Table, Version};

pub(crate) use frame_sizes::{Frames, frames};

mod frame_sizes;
mod lines;
mod module;
mod table;

/// Largest section, in bytes: the tables of the largest programs have 100 MiB.
const MAX_SECTION: u64 = 512 << 20;
/// Sections that are searched.
const MAX_SEARCHED: usize = 16;

/// Adds the functions of a Go program, and where they come from if that is wanted. False if it is none.
pub(super) fn read(
    file: &ElfFile,
    base: u64,
    candidates: &mut Candidates,
    strings: &mut Strings,
    source: Option<&mut SourceMap>,
) -> bool {
    let Some((address, bytes)) = find(file) else { return false };
    let Some(table) = Table::parse(&bytes) else { return false };
    let module = module(file, address, &table);
    let Some(text) = text(file, module.as_ref(), &table) else { return false };
    let inlined = module.filter(|_| source.is_some()).and_then(|module| module.function_data(file));
    let mut lines = source.map(|source| Lines::new(&table, inlined, base, source));
    for function in table.functions(text) {
        let name = strings.add_terminated(table.names, function.name.into());
        if name == 0 {
            continue;
        }
        let (declared_in, line) = match &mut lines {
            Some(lines) => lines.add(&function, strings),
            None => (0, 0),
        };
        let named = Named { rank: Rank::GO, name, file: declared_in, line };
        candidates.add(function.start, function.end - function.start, u64::MAX, named);
    }
    true
}

/// Where the functions of these names are, in this order. None of a file that is no Go program.
pub(crate) fn find_functions<const N: usize>(file: &ElfFile, names: [&str; N]) -> Option<[Option<Range<u64>>; N]> {
    let (address, bytes) = find(file)?;
    let table = Table::parse(&bytes)?;
    let text = text(file, module(file, address, &table).as_ref(), &table)?;
    let mut found = [const { None }; N];
    for function in table.functions(text) {
        let Some(name) = usize::try_from(function.name).ok().and_then(|from| table.names.get(from..)) else { continue };
        let is_called = |called: &&str| {
            let rest = name.strip_prefix(called.as_bytes());
            // As the linker calls those that keep to the first of Go's ways to call.
            rest.is_some_and(|rest| rest.strip_prefix(b".abi0").unwrap_or(rest).first() == Some(&0))
        };
        if let Some(found) = names.iter().position(is_called).and_then(|place| found.get_mut(place)) {
            *found = Some(function.start..function.end);
        }
    }
    Some(found)
}

fn module(file: &ElfFile, address: u64, table: &Table<'_>) -> Option<Module> {
    if table.version >= Version::Go118 { Module::find(file, address, table) } else { None }
}

/// Where the code begins.
fn text(file: &ElfFile, module: Option<&Module>, table: &Table<'_>) -> Option<u64> {
    module.map(|module| module.text).or(table.text).or_else(|| Some(file.section(".text")?.address))
}

/// The table, and its address.
fn find(file: &ElfFile) -> Option<(u64, Vec<u8>)> {
    for name in [".gopclntab", ".data.rel.ro.gopclntab"] {
        if let Some(section) = file.section(name) {
            return Some((section.address, file.section_bytes(section, MAX_SECTION).ok()?));
        }
    }
    // Linkers of C put it among other things.
    let is_go = matches!(file.build_id(), Some(BuildId::Go(_))) || file.section(".go.buildinfo").is_some();
    if !is_go {
        return None;
    }
    let names = [".data.rel.ro", ".rodata"];
    names.iter().filter_map(|name| file.section(name)).find_map(|section| {
        let mut bytes = file.section_bytes(section, MAX_SECTION).ok()?;
        let places = (0..bytes.len()).step_by(8);
        let place = places.into_iter().find(|place| bytes.get(*place..).is_some_and(is_table))?;
        bytes.drain(..place);
        Some((section.address.saturating_add(u64::try_from(place).ok()?), bytes))
    })
}

/// Four bytes would be found in many places.
fn is_table(bytes: &[u8]) -> bool {
    Table::is_header(bytes) && Table::parse(bytes).is_some_and(|table| table.functions(0).next().is_some())
}

/// The sections in which an address may lie that is not code.
fn data_sections(file: &ElfFile) -> impl Iterator<Item = &Section> {
    let is_data = |section: &&Section| section.kind == SHT_PROGBITS && section.flags & u64::from(SHF_ALLOC) != 0;
    file.sections().map(|(_, section)| section).filter(is_data)
}
