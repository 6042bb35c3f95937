//! `.symtab` and `.dynsym`: the symbols that linkers leave.

use object::elf::{SHF_EXECINSTR, STB_GLOBAL, STB_WEAK, STT_FUNC, STT_GNU_IFUNC, STT_NOTYPE};

use super::super::elf::{ElfError, ElfFile};
use super::functions::{Candidates, Named, Rank};
use super::strings::Strings;

/// Largest table of symbols, in bytes: 8 million of them. The largest browsers have two million.
const MAX_TABLE: u64 = 8_000_000 * ENTRY as u64;
/// Most bytes of their names.
const MAX_NAMES: u64 = 512 << 20;
/// `Elf64_Sym`: { u32 name; u8 info; u8 other; u16 section; u64 value; u64 size }.
const ENTRY: usize = 24;

/// Adds the functions of a table of symbols, if the file has it.
pub(super) fn read(
    file: &ElfFile,
    table: &str,
    candidates: &mut Candidates,
    strings: &mut Strings,
) -> Result<(), ElfError> {
    let Some(section) = file.section(table) else { return Ok(()) };
    let Some(names) = file.section_at(section.link) else { return Ok(()) };
    let symbols = file.section_bytes(section, MAX_TABLE)?;
    let names = file.section_bytes(names, MAX_NAMES)?;
    for entry in symbols.as_chunks::<ENTRY>().0 {
        let Some(symbol) = Symbol::parse(entry) else { continue };
        let Some(within) = file.section_at(symbol.section.into()) else { continue };
        if within.flags & u64::from(SHF_EXECINSTR) == 0 {
            continue;
        }
        let name = strings.add_terminated(&names, symbol.name.into());
        let text = strings.at(name);
        // Where the code of Arm begins, and what assemblers leave of their own labels.
        if text.is_empty() || text.starts_with(b"$") || text.starts_with(b".L") {
            continue;
        }
        let underscores = text.iter().take(7).take_while(|byte| **byte == b'_').count();
        let rank = Rank::symbol(symbol.kind == Kind::Function, symbol.binding, underscores);
        let section_end = within.address.saturating_add(within.size);
        candidates.add(symbol.value, symbol.size, section_end, Named { name, rank, ..Named::default() });
    }
    Ok(())
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Function,
    /// A label in assembler, for want of a better word in its source.
    Unsaid,
}

#[derive(Debug)]
struct Symbol {
    name: u32,
    kind: Kind,
    /// 2 for a global one, 1 for a weak one, 0 for one of its object file.
    binding: u8,
    section: u16,
    value: u64,
    size: u64,
}

impl Symbol {
    /// None of what is no code.
    fn parse(entry: &[u8; ENTRY]) -> Option<Self> {
        let (name, rest) = entry.split_first_chunk()?;
        let ([info, _visibility], rest) = rest.split_first_chunk()?;
        let (section, rest) = rest.split_first_chunk()?;
        let (value, rest) = rest.split_first_chunk()?;
        let (size, _) = rest.split_first_chunk()?;
        let kind = match info & 0xf {
            STT_FUNC | STT_GNU_IFUNC => Kind::Function,
            STT_NOTYPE => Kind::Unsaid,
            _ => return None,
        };
        let binding = match info >> 4 {
            STB_GLOBAL => 2,
            STB_WEAK => 1,
            _ => 0,
        };
        Some(Self {
            name: u32::from_le_bytes(*name),
            kind,
            binding,
            section: u16::from_le_bytes(*section),
            value: u64::from_le_bytes(*value),
            size: u64::from_le_bytes(*size),
        })
    }
}
