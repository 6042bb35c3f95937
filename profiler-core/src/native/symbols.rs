//! The names of functions in a file of machine code, and from which line of which source their code comes.
//!
//! [`SymbolTable::build`] reads all that a file has of it into one table. The table is written once and then read
//! where it lies: [`SymbolFile`] looks an address up with a few reads, and holds next to nothing.

use super::elf::{ElfError, ElfFile};

use functions::{Candidates, Function};
use source::SourceMap;
use strings::Strings;

pub use debug_link::DebugLink;
pub(crate) use go::find_functions as find_go_functions;
pub(crate) use go::{Frames as GoFrames, frames as go_frames};
pub use lookup::{Damage, Location, ReadAt, SymbolFile};
pub use strings::MAX_NAME;

mod debug_link;
mod dwarf;
mod elf_symbols;
mod encoding;
mod functions;
mod go;
mod lookup;
mod minidebug;
mod source;
mod spans;
mod strings;

/// Why a file has no table.
#[derive(Debug, thiserror::Error)]
pub enum SymbolError {
    /// What the table is made of cannot be read.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// There is no executable segment.
    #[error("has no code")]
    NoCode,
    /// Rows hold 32 bits of an address.
    #[error("has code from {from:#x} to {to:#x}: more than 4 GiB cannot be named")]
    TooLong {
        /// The lowest address of code.
        from: u64,
        /// The address after the highest.
        to: u64,
    },
}

/// What a table is made of, beside the file itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sources<'f> {
    /// The file that was split off with what debuggers need.
    pub debug: Option<&'f ElfFile>,
    /// Whether lines and inline functions are wanted.
    pub lines: bool,
}

/// What was found on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Stretches of code that have a name.
    pub functions: u64,
    /// Whether there are more names or lines than are kept.
    pub cut: bool,
    /// Whether there is more debug information than is read: it was passed over.
    pub lines_left_out: bool,
}

/// The functions of a file, by rising addresses.
#[derive(Debug)]
pub struct SymbolTable {
    base: u64,
    functions: Vec<Function>,
    source: SourceMap,
    strings: Strings,
    /// What was found on the way.
    pub stats: Stats,
}

impl SymbolTable {
    /// Reads all that is known. Of the largest files this takes seconds: not for a thread that others wait for.
    ///
    /// A file that says nothing has a table without functions; what is damaged in a file is as if it were not there.
    ///
    /// # Errors
    /// The file has no code, or more than rows can address.
    pub fn build(file: &ElfFile, sources: &Sources<'_>) -> Result<Self, SymbolError> {
        let base = base(file)?;
        let mut strings = Strings::new();
        let mut candidates = Candidates::new(file.executable(), base);
        let inside = minidebug::open(file);
        for file in [Some(file), sources.debug, inside.as_ref()].into_iter().flatten() {
            for table in [".symtab", ".dynsym"] {
                let _damaged = elf_symbols::read(file, table, &mut candidates, &mut strings).is_err();
            }
        }
        let mut source = SourceMap::default();
        let is_go = go::read(file, base, &mut candidates, &mut strings, sources.lines.then_some(&mut source));
        let mut lines_left_out = false;
        // Go's own table says the same as its debug information.
        if sources.lines && !is_go {
            let mut found = dwarf::Found { candidates: &mut candidates, strings: &mut strings, source: &mut source };
            let mut outcomes =
                [Some(file), sources.debug].into_iter().flatten().map(|file| dwarf::read(file, &mut found));
            let outcome = outcomes.find(|outcome| *outcome != dwarf::Outcome::Nothing);
            lines_left_out = outcome == Some(dwarf::Outcome::TooLarge);
        }
        source.close();
        let cut = candidates.cut || strings.cut || source.cut;
        let functions = candidates.resolve(&strings);
        strings.close();
        let stats = Stats { functions: functions.len().try_into().unwrap_or(u64::MAX), cut, lines_left_out };
        Ok(Self { base, functions, source, strings, stats })
    }

    /// Every function: where it begins, where it ends, its name as linkers know it.
    pub fn functions(&self) -> impl Iterator<Item = (u64, u64, &[u8])> {
        self.functions.iter().map(|function| {
            let [start, end] = [function.start, function.end].map(|address| self.base + u64::from(address));
            (start, end, self.strings.at(function.name))
        })
    }
}

fn base(file: &ElfFile) -> Result<u64, SymbolError> {
    let code = || file.executable().iter().filter(|segment| segment.size > 0);
    let from = code().map(|segment| segment.address).min().ok_or(SymbolError::NoCode)?;
    let to = code().map(|segment| segment.end()).max().ok_or(SymbolError::NoCode)?;
    u32::try_from(to - from).map_err(|_too_long| SymbolError::TooLong { from, to })?;
    Ok(from)
}
