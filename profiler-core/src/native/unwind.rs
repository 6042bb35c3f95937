//! How to walk stacks without frame pointers: tables made of what compilers write for exceptions and debuggers.
//!
//! The kernel looks rows up and follows them; [`walk()`] is the same in user space.

use std::ops::Range;

use super::elf::{ElfError, ElfFile, Machine};

use rows::Pieces;
use rule::Rules;

pub use rule::{Cfa, FramePointer, GoroutinePlaces, MAX_RULES, PackedRule, ReturnAddress, Rule};
pub use walk::{Code, Limits, Registers, Stop, Walk, walk};

mod aarch64;
mod cfi;
mod expression;
mod go;
mod plt;
mod rows;
mod rule;
mod walk;
mod x86_64;

/// Most rows of a file. The largest browsers have about four million.
const MAX_ROWS: usize = 16 << 20;
/// Largest section that is read, in bytes.
const MAX_SECTION: u64 = 256 << 20;

/// Why a file has no table.
#[derive(Debug, thiserror::Error)]
pub enum UnwindError {
    /// What the table is made of cannot be read.
    #[error(transparent)]
    Elf(#[from] ElfError),
    /// There is no executable segment.
    #[error("has no code")]
    NoCode,
    /// Rows hold 32 bits of an address.
    #[error("has code from {from:#x} to {to:#x}: more than 4 GiB cannot be unwound")]
    TooLong {
        /// The lowest address of code.
        from: u64,
        /// The address after the highest.
        to: u64,
    },
    /// More rows than the kernel may be given.
    #[error("has more than {MAX_ROWS} rows of unwind information")]
    TooManyRows,
}

/// From which address on a rule holds, until the next row's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// The address in the file, less the table's base.
    pub pc: u32,
    /// How the frame is left.
    pub rule: PackedRule,
}

impl Row {
    /// The row as the kernel has it: `{ u32 pc; u32 rule; }`, little-endian.
    pub fn to_bits(self) -> u64 {
        u64::from(self.pc) | u64::from(self.rule.0) << 32
    }
}

/// What was found on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stats {
    /// Functions that are described.
    pub functions: u64,
    /// Descriptions that are damaged: of their code what stands behind the damage cannot be left.
    pub damaged: u64,
    /// Rows at which the walk ends because no rule can say what they mean.
    pub unsupported_rows: u64,
    /// Whether there is more in a section that cannot be read.
    pub truncated: bool,
}

/// The rows of a file, by rising addresses, without two for one address, and no two with one rule side by side.
#[derive(Debug)]
pub struct UnwindTable {
    /// The lowest address of code in the file.
    pub base: u64,
    /// Rows; before the first nothing is known.
    pub rows: Box<[Row]>,
    /// The rules that rows name by their place: at most [`MAX_RULES`].
    pub rules: Box<[Rule]>,
    /// What the code is for.
    pub machine: Machine,
    /// Whether return addresses may be signed, so that the walker has to mask them (aarch64).
    pub signed_return_addresses: bool,
    /// What was found on the way.
    pub stats: Stats,
}

impl UnwindTable {
    /// Reads all that is known about leaving the file's functions. Of the largest files this takes seconds: not for a
    /// thread that others wait for.
    ///
    /// A file that says nothing has a table without rows.
    ///
    /// # Errors
    /// The file cannot be read, or has more code than rows can address.
    pub fn build(file: &ElfFile) -> Result<Self, UnwindError> {
        let (base, end) = extent(file)?;
        let mut found = Found::nothing(file, base);
        cfi::eh_frame(file, &mut found, |_function| {})?;
        plt::without_description(file, &mut found)?;
        if !go::fill(file, &mut found)? {
            cfi::debug_frame(file, &mut found)?;
        }
        let Found { pieces, rules, machine, signed_return_addresses, mut stats } = found;
        let mut rows = pieces.into_rows(end)?;
        let rules = rules.used_by(&mut rows);
        let unsupported = rows.iter().filter(|row| row.rule == PackedRule::UNSUPPORTED).count();
        stats.unsupported_rows = unsupported.try_into().unwrap_or(u64::MAX);
        Ok(UnwindTable { base, rows, rules, machine, signed_return_addresses, stats })
    }

    /// How the function at this address of the file is left.
    pub fn rule(&self, address: u64) -> Rule {
        let none = Rule::stop(Cfa::None);
        let Some(pc) = address.checked_sub(self.base).and_then(|pc| u32::try_from(pc).ok()) else { return none };
        let after = self.rows.partition_point(|row| row.pc <= pc);
        let row = after.checked_sub(1).and_then(|last| self.rows.get(last));
        row.and_then(|row| self.unpack(row.rule)).unwrap_or(none)
    }

    fn unpack(&self, rule: PackedRule) -> Option<Rule> {
        match rule.index() {
            Some(place) => self.rules.get(usize::try_from(place).ok()?).copied(),
            None => rule.unpack(self.machine),
        }
    }
}

/// Where the stretches of code are that compilers describe for exceptions, by rising addresses: functions, and parts of
/// them that were moved away.
///
/// # Errors
/// The file cannot be read, or has more code than rows can address.
pub fn described_code(file: &ElfFile) -> Result<Vec<Range<u64>>, UnwindError> {
    let (base, _) = extent(file)?;
    let mut described = Vec::new();
    let add =
        |function: &rows::Function| described.push(base + u64::from(function.start)..base + u64::from(function.end));
    cfi::eh_frame(file, &mut Found::nothing(file, base), add)?;
    described.sort_unstable_by_key(|code| code.start);
    Ok(described)
}

/// What the sources of rows add to.
struct Found {
    pieces: Pieces,
    rules: Rules,
    machine: Machine,
    signed_return_addresses: bool,
    stats: Stats,
}

impl Found {
    fn nothing(file: &ElfFile, base: u64) -> Self {
        Self {
            pieces: Pieces::new(file.executable(), base),
            rules: Rules::new(file.machine()),
            machine: file.machine(),
            signed_return_addresses: false,
            stats: Stats::default(),
        }
    }
}

fn extent(file: &ElfFile) -> Result<(u64, u32), UnwindError> {
    let code = || file.executable().iter().filter(|segment| segment.size > 0);
    let from = code().map(|segment| segment.address).min().ok_or(UnwindError::NoCode)?;
    let to = code().map(|segment| segment.end()).max().ok_or(UnwindError::NoCode)?;
    let length = u32::try_from(to - from).map_err(|_too_long| UnwindError::TooLong { from, to })?;
    Ok((from, length))
}
