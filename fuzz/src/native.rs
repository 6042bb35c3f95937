//! Files of machine code: any bytes may stand in them, for whoever runs a program chooses its file.

use profiler_core::native::elf::{ElfFile, Machine};
use profiler_core::native::unwind::{Code, Limits, MAX_RULES, PackedRule, Registers, Row, UnwindTable, walk};

/// What does not hold, and for which file.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// A lookup by halves would find another row.
    #[error("rows are not in order: {0:?}")]
    Order([Row; 2]),
    /// Two rows side by side say the same.
    #[error("rows say the same: {0:?}")]
    Same([Row; 2]),
    /// A row's rule is not in the table.
    #[error("there is no such rule: {0:?}")]
    NoRule(Row),
    /// Some code behind the last has a rule.
    #[error("the last row has a rule: {0:?}")]
    NoEnd(Row),
    /// More memory than the file is worth.
    #[error("a file of {length} bytes has {rows} rows and {rules} rules")]
    TooMany {
        /// The file, in bytes.
        length: usize,
        /// The table's.
        rows: usize,
        /// The table's.
        rules: usize,
    },
    /// A walk has gone beyond its limit.
    #[error("a walk of at most {FRAMES} frames has {0}")]
    TooLong(usize),
}

/// Most frames of a walk.
const FRAMES: usize = 64;
/// Rows that one byte of a file may become, for it may be compressed: a row takes an instruction of two bytes at least.
const ROWS: usize = 64;

/// Whether everything holds that must hold for any input. A panic is a failure too, and comes through.
///
/// # Errors
/// The first thing that does not hold.
pub fn check(input: &[u8]) -> Result<(), Broken> {
    let Ok(file) = ElfFile::in_memory(input.to_vec()) else { return Ok(()) };
    for (name, section) in file.sections() {
        // A refusal is an answer.
        let _refused = name.is_empty() || file.section_bytes(section, 1 << 20).is_err();
    }
    let Ok(table) = UnwindTable::build(&file) else { return Ok(()) };
    let (rows, rules) = (table.rows.len(), table.rules.len());
    if rules > MAX_RULES || rows > ROWS * input.len() {
        return Err(Broken::TooMany { length: input.len(), rows, rules });
    }
    for pair in table.rows.array_windows::<2>() {
        let [before, after] = pair;
        if before.pc >= after.pc {
            return Err(Broken::Order(*pair));
        }
        if before.rule == after.rule {
            return Err(Broken::Same(*pair));
        }
    }
    let outside =
        |row: &&Row| row.rule.index().is_some_and(|place| usize::try_from(place).is_ok_and(|place| place >= rules));
    if let Some(row) = table.rows.iter().find(outside) {
        return Err(Broken::NoRule(*row));
    }
    if let Some(last) = table.rows.last().filter(|last| last.rule != PackedRule::NONE) {
        return Err(Broken::NoEnd(*last));
    }
    check_walk(input, &table)
}

/// The file is its own stack, and its addresses are where it is mapped.
fn check_walk(input: &[u8], table: &UnwindTable) -> Result<(), Broken> {
    let word = |address: u64| {
        let from = usize::try_from(address).ok()? % input.len().max(1);
        Some(u64::from_le_bytes(*input.get(from..)?.first_chunk()?))
    };
    let lr = (table.machine == Machine::Aarch64).then_some(table.base);
    for row in table.rows.iter().take(FRAMES) {
        let ip = table.base.wrapping_add(row.pc.into());
        let registers = Registers { ip, sp: ip, fp: ip, lr, thread_pointer: Some(ip) };
        let limits = Limits { frames: FRAMES, address_mask: u64::MAX };
        let frames = walk(registers, limits, |address| Some(Code { table, address }), word).frames.len();
        if frames > FRAMES {
            return Err(Broken::TooLong(frames));
        }
    }
    Ok(())
}
