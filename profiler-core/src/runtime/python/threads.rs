//! Where the threads of a process keep their states. It is looked for in the process itself: the runtime lists the states
//! of all threads, and each says whose it is; what holds it is then found in that thread's own memory, wherever the
//! C library keeps what threads store under keys.

use std::collections::BTreeMap;

use super::layout::Layout;
use crate::kernel::ThreadSlot;
use crate::native::elf::Machine;
use crate::runtime::memory::ReadMemory;

/// A thread, and the state that the runtime has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread {
    /// What `pthread_self()` gives.
    pub(super) itself: u64,
    pub(super) state: u64,
}

/// Threads of an interpreter that are looked at: enough to tell chance from rule.
const MAX_THREADS: usize = 16;
const MAX_INTERPRETERS: usize = 16;
/// States that are passed on the way to them.
const MAX_STATES: usize = 4096;

/// Threads of an interpreter and of those after it.
pub(super) fn of_interpreters(memory: &dyn ReadMemory, layout: &Layout, first: u64) -> Vec<Thread> {
    let after = |interpreter: &u64| memory.pointer(interpreter.wrapping_add(layout.next.into()));
    let interpreters = std::iter::successors(Some(first), after).take(MAX_INTERPRETERS);
    interpreters.flat_map(|interpreter| of_interpreter(memory, layout, interpreter)).collect()
}

/// The list is read while it changes: what it says is taken where the states agree.
fn of_interpreter(memory: &dyn ReadMemory, layout: &Layout, interpreter: u64) -> Vec<Thread> {
    let mut threads = Vec::new();
    let mut next = memory.pointer(interpreter.wrapping_add(layout.threads.into()));
    for _ in 0..MAX_STATES {
        let Some(state) = next.filter(|_| threads.len() < MAX_THREADS) else { break };
        let field = |offset: u16| memory.word(state.wrapping_add(offset.into()));
        if field(layout.state.interpreter) != Some(interpreter) {
            break;
        }
        threads.extend(field(layout.state.thread).filter(|itself| *itself != 0).map(|itself| Thread { itself, state }));
        next = field(layout.state.next).filter(|next| *next != 0);
    }
    threads
}

/// `struct pthread` has 2,304 bytes in glibc, and 200 in musl.
const THREAD_WORDS: usize = 2304 / 8;
/// Keys of musl are 128, each a word; those of glibc are in blocks of 32, each two words.
const KEY_WORDS: usize = 128;

/// Where each of the threads has its state. Of several places the one that most threads agree on, and the first of those:
/// the runtime's key is older than all that others store.
pub(super) fn slot(memory: &dyn ReadMemory, threads: &[Thread]) -> Option<ThreadSlot> {
    most_agreed(threads, |thread| direct(memory, thread))
        .or_else(|| most_agreed(threads, |thread| indirect(memory, thread)))
}

fn most_agreed(threads: &[Thread], places: impl Fn(&Thread) -> Vec<ThreadSlot>) -> Option<ThreadSlot> {
    let mut agreed: BTreeMap<ThreadSlot, usize> = BTreeMap::new();
    for place in threads.iter().flat_map(places) {
        *agreed.entry(place).or_default() += 1;
    }
    let most = agreed.values().max()?;
    agreed.iter().find(|(_, threads)| *threads == most).map(|(place, _)| *place)
}

/// In the thread's own block: the first 32 keys of glibc.
fn direct(memory: &dyn ReadMemory, thread: &Thread) -> Vec<ThreadSlot> {
    let words = memory.words(thread.itself, THREAD_WORDS);
    let places = (0_i32..).step_by(8).zip(words).filter(|(_, word)| *word == thread.state);
    places.map(|(offset, _)| ThreadSlot::At(offset)).collect()
}

/// In what the block points to: musl's keys, and all others of glibc.
fn indirect(memory: &dyn ReadMemory, thread: &Thread) -> Vec<ThreadSlot> {
    let words = memory.words(thread.itself, THREAD_WORDS);
    let pointers = (0_i32..).step_by(8).zip(words).filter(|(_, word)| *word & 7 == 0 && *word >> 12 != 0);
    pointers
        .flat_map(|(pointer, target)| {
            let keys = memory.words(target, KEY_WORDS);
            let places = (0_u16..).step_by(8).zip(keys).filter(|(_, word)| *word == thread.state);
            places.map(move |(within, _)| ThreadSlot::Behind { pointer, within })
        })
        .collect()
}

/// From the thread pointer to what `pthread_self()` gives. On x86_64 they are one. On aarch64 the C library's function
/// says it: it reads the thread pointer and takes the size of the block from it.
pub(super) fn self_offset(machine: Machine, pthread_self: impl FnOnce() -> Option<Vec<u8>>) -> Option<i32> {
    match machine {
        Machine::X86_64 => Some(0),
        Machine::Aarch64 => subtracted(&pthread_self()?),
    }
}

/// What the code takes from the thread pointer: `mrs xN, tpidr_el0`, and later `sub x0, xN, #constant`.
fn subtracted(code: &[u8]) -> Option<i32> {
    const MRS_TPIDR: u32 = 0xd53b_d040;
    const SUB: u32 = 0xd100_0000;
    const RETURN: u32 = 0xd65f_03c0;
    let mut pointer = None;
    let instructions = code.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    for instruction in instructions.take_while(|instruction| *instruction != RETURN) {
        if instruction & !0x1f == MRS_TPIDR {
            pointer = Some(instruction & 0x1f);
        } else if instruction & 0xff80_0000 == SUB
            && pointer == Some(instruction >> 5 & 0x1f)
            && instruction & 0x1f == 0
        {
            let constant = (instruction >> 10 & 0xfff) as i32;
            // Bit 22: shifted by twelve.
            return Some(-(constant << (12 * (instruction >> 22 & 1))));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::path::Path;
    use std::process::{Command, Stdio};

    use super::*;
    use crate::runtime::memory::ProcessMemory;

    /// What a thread finds there.
    fn stored(memory: &dyn ReadMemory, thread: &Thread, slot: ThreadSlot) -> Option<u64> {
        let at = |address: u64, offset: i32| address.wrapping_add_signed(offset.into());
        match slot {
            ThreadSlot::At(offset) => memory.word(at(thread.itself, offset)),
            ThreadSlot::Behind { pointer, within } => {
                memory.word(memory.pointer(at(thread.itself, pointer))?.wrapping_add(within.into()))
            }
        }
    }

    #[test]
    fn what_threads_store_is_found_in_each_c_library() {
        let folder = tempfile::tempdir().unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/keys.c");
        for (compiler, keys_before) in [("cc", "0"), ("cc", "40"), ("musl-gcc", "0"), ("musl-gcc", "40")] {
            let program = folder.path().join(compiler);
            let status = Command::new(compiler).args(["-O2", "-pthread", "-o"]).args([&program, &source]).status();
            let status = status.unwrap_or_else(|error| panic!("this test needs {compiler}: {error}"));
            assert!(status.success(), "{compiler}: {status}");
            let mut child =
                Command::new(&program).arg(keys_before).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
            let number = |digits: &str| u64::from_str_radix(digits, 16).unwrap();
            let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
            let threads: Vec<Thread> = lines
                .take_while(|line| line != "stored")
                .map(|line| {
                    let (itself, state) = line.split_once(' ').unwrap();
                    Thread { itself: number(itself), state: number(state) }
                })
                .collect();
            let memory = ProcessMemory::of(child.id()).unwrap();
            let slot = slot(&memory, &threads);
            let found: Vec<Option<u64>> = threads.iter().map(|thread| stored(&memory, thread, slot?)).collect();
            child.kill().unwrap();
            child.wait().unwrap();
            assert_eq!(
                found,
                threads.iter().map(|thread| Some(thread.state)).collect::<Vec<_>>(),
                "{compiler}: {slot:?}"
            );
        }
    }

    #[test]
    fn the_thread_itself_lies_before_its_pointer_on_aarch64() {
        let code = |instructions: &[u32]| instructions.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<u8>>();
        // glibc: mrs x0, tpidr_el0; sub x0, x0, #0x740; ret
        let glibc = code(&[0xd53b_d040, 0xd11d_0000, 0xd65f_03c0]);
        // mrs x1, tpidr_el0; sub x0, x1, #1, lsl #12; ret
        let large = code(&[0xd53b_d041, 0xd140_0420, 0xd65f_03c0]);
        let other = code(&[0xd53b_d041, 0xd11d_0000, 0xd65f_03c0, 0xd140_0420]);
        for (code, offset) in [(glibc, Some(-0x740)), (large, Some(-0x1000)), (other, None), (vec![1, 2], None)] {
            assert_eq!(self_offset(Machine::Aarch64, || Some(code)), offset);
        }
        assert_eq!(self_offset(Machine::X86_64, || None), Some(0));
    }
}
