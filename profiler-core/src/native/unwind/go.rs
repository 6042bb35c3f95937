//! Code that Go has compiled: it keeps frame pointers, and has no `.eh_frame`.
//!
//! Its `.debug_frame`, where it was not stripped, says where the frame ends, but nothing of the frame pointer: a
//! function that has a frame of its own begins by saving it below the return address. The runtime changes stacks
//! within functions, which only the frame pointer survives.

use super::super::elf::{ElfError, ElfFile, Machine};
use super::rows::Function;
use super::rule::Rules;
use super::{Cfa, Found, Row, Rule, UnwindError, cfi};

/// As much code is read at once, in bytes: a page, for in a file that was made to be slow the functions stand in no
/// order.
const WINDOW: u64 = 4 << 10;

/// Whether a Go linker made it.
pub(super) fn is_go(file: &ElfFile) -> bool {
    // Of programs that are loaded anywhere the table has to be relocated.
    [".gopclntab", ".data.rel.ro.gopclntab"].iter().any(|name| file.section(name).is_some())
}

/// Adds what `.eh_frame` has left out.
pub(super) fn fill(file: &ElfFile, found: &mut Found) -> Result<(), UnwindError> {
    if file.machine() == Machine::X86_64 {
        let base = file.executable().iter().map(|segment| segment.address).min().unwrap_or_default();
        let mut text = Text { file, start: 0, bytes: Vec::new() };
        cfi::debug_frame(file, found, |function, rules| adapt(function, rules, base, &mut text))?;
    }
    let Some(section) = file.section(".text") else { return Ok(()) };
    let Some((start, end)) = found.pieces.in_code(section.address, section.size) else { return Ok(()) };
    let rule = found.rules.pack(&Rule::stop(Cfa::FrameChain));
    for (start, end) in found.pieces.gaps(start, end) {
        found.pieces.add(&Function { start, end, rows: vec![Row { pc: start, rule }] })?;
    }
    Ok(())
}

fn adapt(function: &mut Function, rules: &mut Rules, base: u64, text: &mut Text<'_>) {
    if let Some(code) = text.from(base + u64::from(function.start))
        && let Some(cfa) = special(code, function.end - function.start)
    {
        // A signal handler returns to the first byte of what restores its registers; like any return address it is
        // looked up one byte before.
        function.start = function.start.saturating_sub(u32::from(cfa == Cfa::Signal));
        function.rows = vec![Row { pc: function.start, rule: rules.pack(&Rule::stop(cfa)) }];
        return;
    }
    follow_frame_pointers(&mut function.rows, rules, base, text);
}

/// Functions of the runtime that no other has called, though their description says so.
fn special(code: &[u8], length: u32) -> Option<Cfa> {
    match (code, length) {
        // runtime.goexit, to which a goroutine's first function returns: nop; call; nop
        ([0x90, 0xe8, _, _, _, _, 0x90, ..], 7) => Some(Cfa::End),
        // runtime.mstart, the first of a thread: call; ret
        ([0xe8, _, _, _, _, 0xc3, ..], 6) => Some(Cfa::End),
        // What a signal handler returns to: mov rax, SYS_rt_sigreturn; syscall
        ([0x48, 0xc7, 0xc0, 15, 0, 0, 0, 0x0f, 0x05, ..], 9..=16) => Some(Cfa::Signal),
        _ => None,
    }
}

/// From where on the frame pointer is set, the frame address is found from it.
fn follow_frame_pointers(rows: &mut Vec<Row>, rules: &mut Rules, base: u64, text: &mut Text<'_>) {
    let has_frame =
        |row: &Row, rules: &Rules| matches!(rules.unpack(row.rule), Some(Rule { cfa: Cfa::StackPointer(16..), .. }));
    let Some(first) = rows.iter().position(|row| has_frame(row, rules)) else { return };
    let Some(begins) = rows.get(first).map(|row| row.pc) else { return };
    let before = (base + u64::from(begins)).saturating_sub(1);
    let Some(set) = text.from(before).and_then(sets_frame_pointer) else { return };
    let Some(set) = begins.checked_add(set) else { return };
    // The runtime sets it to zero where a stack begins.
    let rule = rules.pack(&Rule::stop(Cfa::FrameChain));
    // The row in which it is set is cut in two.
    let after = rows.partition_point(|row| row.pc < set);
    if rows.get(after).is_none_or(|row| row.pc > set) && after > 0 {
        let cut = rows.get(after - 1).map_or(rule, |row| row.rule);
        rows.insert(after, Row { pc: set, rule: cut });
    }
    for row in rows.iter_mut().filter(|row| row.pc >= set) {
        if has_frame(row, rules) {
            row.rule = rule;
        }
    }
    rows.dedup_by_key(|row| row.rule);
}

/// How many bytes behind the instruction that made the frame the frame pointer points into it. The code begins with
/// the last byte of that instruction.
fn sets_frame_pointer(code: &[u8]) -> Option<u32> {
    match code {
        // push rbp; mov rbp, rsp
        [0x55, 0x48, 0x89, 0xe5, ..] => Some(3),
        // Before Go 1.21: sub rsp, n; mov [rsp + n - 8], rbp; lea rbp, [rsp + n - 8]
        [_, 0x48, 0x89, 0x2c, 0x24, 0x48, 0x8d, 0x2c, 0x24, ..] => Some(8),
        [_, 0x48, 0x89, 0x6c, 0x24, _, 0x48, 0x8d, 0x6c, 0x24, ..] => Some(10),
        [_, 0x48, 0x89, 0xac, 0x24, _, _, _, _, 0x48, 0x8d, 0xac, 0x24, ..] => Some(16),
        _ => None,
    }
}

/// The code, read as it is needed: functions come by rising addresses.
struct Text<'f> {
    file: &'f ElfFile,
    start: u64,
    bytes: Vec<u8>,
}

impl Text<'_> {
    /// The code from an address on, at least 32 bytes where there are as many.
    fn from(&mut self, address: u64) -> Option<&[u8]> {
        if self.held(address).is_none_or(|bytes| bytes.len() < 32) {
            self.bytes = self.read(address).unwrap_or_default();
            self.start = address;
        }
        self.held(address)
    }

    fn held(&self, from: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(from.checked_sub(self.start)?).ok()?..)
    }

    fn read(&self, from: u64) -> Result<Vec<u8>, ElfError> {
        self.file.code(from, WINDOW)
    }
}
