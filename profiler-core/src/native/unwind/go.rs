//! Code of Go: it has no `.eh_frame`. Go's own tables say how large each frame is, but nothing of the frame pointer.
//!
//! What was compiled keeps the frame pointer, and from where it is set on that alone is followed: it survives that the
//! runtime changes stacks within functions, and needs few rows. Code of assembly may use its register for anything: there
//! the sizes of frames are followed, but in functions that change stacks.

use super::super::elf::{ElfFile, Machine};
use super::super::goroutine::{self, Goroutine, Saved, StackSwitch};
use super::super::symbols::{GoFrames, go_frames};
use super::rows::Function;
use super::{Cfa, Found, FramePointer, GoroutinePlaces, Row, Rule, UnwindError};

/// As much code is read at once, in bytes: a page, for in a file that was made to be slow the functions stand in no
/// order.
const WINDOW: u64 = 4 << 10;
/// Longest function of the runtime that is read, in bytes.
const LONGEST: u64 = 1024;
/// Functions that do something for a goroutine; there are three.
const MAX_WAITING: usize = 8;

/// Adds what `.eh_frame` has left out. False if no Go linker made the file.
pub(super) fn fill(file: &ElfFile, found: &mut Found) -> Result<bool, UnwindError> {
    let is_go = match file.machine() {
        Machine::X86_64 => by_frames(file, found)?,
        // Of programs that are loaded anywhere the table has to be relocated.
        Machine::Aarch64 => [".gopclntab", ".data.rel.ro.gopclntab"].iter().any(|name| file.section(name).is_some()),
    };
    let Some(section) = file.section(".text").filter(|_| is_go) else { return Ok(is_go) };
    let Some((start, end)) = found.pieces.in_code(section.address, section.size) else { return Ok(is_go) };
    let rule = found.rules.pack(&Rule::stop(Cfa::FrameChain));
    for (start, end) in found.pieces.gaps(start, end) {
        found.pieces.add(&Function { start, end, rows: vec![Row { pc: start, rule }] })?;
    }
    Ok(is_go)
}

fn by_frames(file: &ElfFile, found: &mut Found) -> Result<bool, UnwindError> {
    let mut text = Text { file, start: 0, bytes: Vec::new() };
    let (mut switch, mut saved, mut waiting) = (None, None, Vec::new());
    let is_go = go_frames(file, |frames: GoFrames<'_>| {
        let Some((start, end)) = found.pieces.in_code(frames.start, frames.end - frames.start) else { return Ok(()) };
        found.stats.functions += 1;
        let Some(described) = describe(&frames, &mut text) else {
            found.stats.damaged += 1;
            return Ok(());
        };
        match frames.name {
            b"runtime.systemstack" => switch = StackSwitch::read(file.machine(), frames.start, &text.of(&frames)),
            b"runtime.morestack" => saved = goroutine::saved(&text.of(&frames)),
            _ => {}
        }
        match described {
            Described { rows, works_for_goroutine: Some(from) } if waiting.len() < MAX_WAITING => {
                waiting.push((start, end, rows, from));
                Ok(())
            }
            Described { rows, .. } => add(found, start, end, &rows),
        }
    })?;
    let places = switch.zip(saved).and_then(|(switch, saved)| places(switch, saved));
    for (start, end, mut rows, from) in waiting {
        rows.push((from, Rule::stop(places.map_or(Cfa::End, Cfa::Goroutine))));
        add(found, start, end, &rows)?;
    }
    Ok(is_go)
}

/// None where that is known to the running process alone.
fn places(switch: StackSwitch, saved: Saved) -> Option<GoroutinePlaces> {
    let Goroutine::At(thread) = switch.goroutine else { return None };
    let StackSwitch { machine, current, .. } = switch;
    let Saved { stack_pointer, frame_pointer } = saved;
    Some(GoroutinePlaces { thread, machine, current, stack_pointer, frame_pointer })
}

/// Rules from an address on that is counted from the function's beginning.
type Rules = Vec<(u32, Rule)>;

struct Described {
    rows: Rules,
    /// From there on the function does something for a goroutine on the stack of the thread.
    works_for_goroutine: Option<u32>,
}

/// None where the sizes make no sense.
fn describe(frames: &GoFrames<'_>, text: &mut Text<'_>) -> Option<Described> {
    let known = |rows| Some(Described { rows, works_for_goroutine: None });
    match frames.name {
        // No other has called these, though their frames say so.
        b"runtime.goexit" | b"runtime.mstart" | b"runtime.rt0_go" => return known(vec![(0, Rule::stop(Cfa::End))]),
        // What a signal handler returns to.
        b"runtime.sigreturn" | b"runtime.sigreturn__sigaction" => return known(vec![(0, Rule::stop(Cfa::Signal))]),
        _ => {}
    }
    let set = frame_pointer_set(frames, text);
    let mut rows = rows(frames, set)?;
    let has_left = |rows: &mut Rules, text: &Text<'_>| {
        let left = goroutine::leaves_stack(&text.of(frames))?;
        rows.retain(|(from, _)| *from < left);
        Some(left)
    };
    match frames.name {
        // Where these have not saved the frame pointer of the goroutine, it is that of its caller's caller by then.
        b"runtime.morestack" | b"runtime.systemstack" | b"runtime.asmcgocall" if set.is_none() => {
            let works_for_goroutine = has_left(&mut rows, text);
            return Some(Described { rows, works_for_goroutine });
        }
        b"runtime.mcall" => {}
        _ if frames.switches_stack && set.is_none() => {}
        // Before 1.17 it was not said of them.
        b"runtime.gogo" | b"gogo" | b"runtime.clone" => {}
        _ => return known(rows),
    }
    // What goes on there has nothing to do with what was called: the scheduler, another goroutine, a new thread.
    if let Some(left) = has_left(&mut rows, text) {
        rows.push((left, Rule::stop(Cfa::End)));
    }
    known(rows)
}

fn rows(frames: &GoFrames<'_>, set: Option<u32>) -> Option<Rules> {
    let by_size = frames.is_assembly && !frames.switches_stack;
    let with_frame = |size: i32| match by_size {
        true => {
            let frame_pointer = FramePointer::AtCfa(-2 * WORD);
            Some(Rule { frame_pointer, ..Rule::x86_64(Cfa::StackPointer(size.checked_add(WORD)?)) })
        }
        // The runtime sets it to zero where a stack begins.
        false => Some(Rule::stop(Cfa::FrameChain)),
    };
    let mut rows = Rules::new();
    let mut sizes = frames.sizes.iter().peekable();
    while let Some((from, size)) = sizes.next() {
        let to = sizes.peek().map_or(u32::MAX, |(next, _)| *next);
        let before = Rule::x86_64(Cfa::StackPointer(size.checked_add(WORD).filter(|_| *size >= 0)?));
        // The size in which it is set is cut in two.
        let set = set.filter(|set| *set < to && *size >= WORD);
        if set.is_none_or(|set| set > *from) {
            rows.push((*from, before));
        }
        if let Some(set) = set {
            rows.push((set.max(*from), with_frame(*size)?));
        }
    }
    Some(rows)
}

/// Of an address, in bytes.
const WORD: i32 = 8;

/// From where on the frame pointer points at the one that was saved, below the return address.
fn frame_pointer_set(frames: &GoFrames<'_>, text: &mut Text<'_>) -> Option<u32> {
    let (begins, _) = frames.sizes.iter().find(|(_, size)| *size >= WORD)?;
    let before = frames.start.checked_add(u64::from(*begins))?.checked_sub(1)?;
    begins.checked_add(text.from(before).and_then(sets_frame_pointer)?)
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

fn add(found: &mut Found, start: u32, end: u32, rules: &Rules) -> Result<(), UnwindError> {
    // A signal handler returns to the first byte of what restores its registers; like any return address it is looked
    // up one byte before.
    let is_signal = matches!(rules.first(), Some((_, Rule { cfa: Cfa::Signal, .. })));
    let start = start.saturating_sub(u32::from(is_signal));
    let mut rows = Vec::with_capacity(rules.len());
    for (from, rule) in rules {
        if let Some(pc) = start.checked_add(*from).filter(|pc| *pc < end) {
            rows.push(Row { pc, rule: found.rules.pack(rule) });
        }
    }
    found.pieces.add(&Function { start, end, rows })
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
            self.bytes = self.file.code(address, WINDOW).unwrap_or_default();
            self.start = address;
        }
        self.held(address)
    }

    /// That of a function, none where it cannot be read.
    fn of(&self, frames: &GoFrames<'_>) -> Vec<u8> {
        let length = (frames.end - frames.start).min(LONGEST);
        self.file.code(frames.start, length).unwrap_or_default()
    }

    fn held(&self, from: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(from.checked_sub(self.start)?).ok()?..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BARE: Rule = Rule::x86_64(Cfa::StackPointer(8));
    const PUSHED: Rule = Rule::x86_64(Cfa::StackPointer(16));
    const CHAIN: Rule = Rule::stop(Cfa::FrameChain);

    fn frames(sizes: &[(u32, i32)], is_assembly: bool, switches_stack: bool) -> GoFrames<'static> {
        GoFrames { name: b"main.f", start: 0, end: 64, is_assembly, switches_stack, sizes: sizes.to_vec() }
    }

    #[test]
    fn frame_pointers_are_followed_from_where_they_are_set_and_sizes_in_assembly() {
        // push rbp; mov rbp, rsp; sub rsp, 32; add rsp, 32; pop rbp; ret, and an end without epilogue.
        let sizes = [(0, 0), (11, 8), (18, 40), (40, 8), (41, 0), (42, 40)];
        let expected = [(0, BARE), (11, PUSHED), (14, CHAIN), (18, CHAIN), (40, CHAIN), (41, BARE), (42, CHAIN)];
        assert_eq!(rows(&frames(&sizes, false, false), Some(14)), Some(expected.to_vec()));
        assert_eq!(rows(&frames(&sizes, true, true), Some(14)), Some(expected.to_vec()));

        let saved = |size: i32| {
            let frame_pointer = FramePointer::AtCfa(-16);
            Rule { frame_pointer, ..Rule::x86_64(Cfa::StackPointer(size + 8)) }
        };
        let by_size =
            [(0, BARE), (11, PUSHED), (14, saved(8)), (18, saved(40)), (40, saved(8)), (41, BARE), (42, saved(40))];
        assert_eq!(rows(&frames(&sizes, true, false), Some(14)), Some(by_size.to_vec()));

        // Nobody saves it.
        let expected = [(0, BARE), (11, PUSHED)];
        assert_eq!(rows(&frames(&sizes[..2], true, false), None), Some(expected.to_vec()));
        assert_eq!(rows(&frames(&[(0, 0), (4, -8)], false, false), None), None);
        assert_eq!(rows(&frames(&[(0, i32::MAX)], false, false), None), None);
    }
}
