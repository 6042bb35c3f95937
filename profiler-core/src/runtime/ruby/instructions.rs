//! The interpreter's loop. No name of it is left in most files: it is known by the table of its instructions, which has the
//! address of each, one after the other, and all of them are in one function.

use std::ops::Range;

use crate::native::elf::{ElfFile, Machine};
use crate::native::unwind::described_code;
use crate::runtime::eval_loop;
use crate::runtime::exports::Export;

/// Ruby has some 200 instructions; no table of any other function is as long.
const FEWEST: usize = 150;
/// Largest section that is read, in bytes.
const MAX_SECTION: u64 = 64 << 20;
/// Where compilers put tables of addresses: those that are moved as the file is, and those that are not.
const TABLES: [&str; 3] = [".data.rel.ro", ".data.rel.ro.local", ".rodata"];

/// The loop's code, its own part first. None where there is no such table.
pub(super) fn loop_code(file: &ElfFile) -> Option<Vec<Range<u64>>> {
    let described = described_code(file).ok()?;
    let moved = moved_words(file);
    let functions = TABLES.iter().filter_map(|name| {
        let section = file.section(name)?;
        let mut words: Vec<u64> = file
            .section_bytes(section, MAX_SECTION)
            .ok()?
            .as_chunks()
            .0
            .iter()
            .map(|word| u64::from_le_bytes(*word))
            .collect();
        for (address, value) in &moved {
            let place = address.checked_sub(section.address).and_then(|offset| usize::try_from(offset / 8).ok());
            if let Some(word) = place.and_then(|place| words.get_mut(place)) {
                *word = *value;
            }
        }
        longest_table(&words, &described)
    });
    let (count, function) = functions.max_by_key(|(count, _)| *count)?;
    let size = function.end - function.start;
    (count >= FEWEST).then(|| eval_loop::code(file, Export { address: function.start, size }))
}

/// The function that has most of the addresses of one table, and how many these are.
fn longest_table(words: &[u64], described: &[Range<u64>]) -> Option<(usize, Range<u64>)> {
    let function_of = |address: u64| {
        let place = described.partition_point(|code| code.start <= address).checked_sub(1)?;
        // A table of functions has their beginnings.
        described.get(place).filter(|code| address < code.end).map(|_| place)
    };
    let (mut longest, mut last, mut count) = (None, None, 0);
    for word in words {
        let function = function_of(*word);
        count = if function.is_some() && function == last { count + 1 } else { 1 };
        last = function;
        if let Some(function) = function.filter(|_| longest.is_none_or(|(most, _)| count > most)) {
            longest = Some((count, function));
        }
    }
    let (count, function) = longest?;
    Some((count, described.get(function)?.clone()))
}

/// `R_X86_64_RELATIVE` and `R_AARCH64_RELATIVE`.
const fn relative(machine: Machine) -> u64 {
    match machine {
        Machine::X86_64 => 8,
        Machine::Aarch64 => 1027,
    }
}

/// Words that the dynamic linker writes: their addresses, and what will be there. Of packed ones (`.relr.dyn`) the file has
/// the values themselves.
fn moved_words(file: &ElfFile) -> Vec<(u64, u64)> {
    let bytes = file.section(".rela.dyn").and_then(|section| file.section_bytes(section, MAX_SECTION).ok());
    let bytes = bytes.unwrap_or_default();
    let words: Vec<u64> = bytes.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
    let kind = relative(file.machine());
    // Elf64_Rela: { u64 offset, info; i64 addend }
    words
        .as_chunks()
        .0
        .iter()
        .filter(|[_, info, _]| *info == kind)
        .map(|[offset, _, addend]| (*offset, *addend))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_one_function_is_told_from_others() {
        let described = [0x100..0x200, 0x200..0x1000, 0x1000..0x1010];
        let functions = [0x100, 0x200, 0x1000, 0, 0x250, 0x300, 0x260, 0x100, 0x120, 0xffff, 0x200];
        assert_eq!(longest_table(&functions, &described), Some((3, 0x200..0x1000)));
        assert_eq!(longest_table(&[0, 0x10, 0x2000], &described), None);
    }
}
