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

/// Threads that are looked at: enough to tell chance from rule.
const MAX_THREADS: usize = 16;
/// States that are passed on the way to them.
const MAX_STATES: usize = 4096;

/// Threads of an interpreter. The list is read while it changes: what it says is taken where the states agree.
pub(super) fn of_interpreter(memory: &dyn ReadMemory, layout: &Layout, interpreter: u64) -> Vec<Thread> {
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
