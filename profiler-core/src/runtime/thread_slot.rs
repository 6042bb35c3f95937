//! Where the threads of a process keep what a runtime has for each of them. It is looked for in the process itself: the
//! runtime lists its threads, and each says whose it is; what holds it is then found in that thread's own memory,
//! wherever the C library keeps what threads store.

use std::collections::BTreeMap;

use super::exports;
use super::memory::ReadMemory;
use crate::kernel::ThreadSlot;
use crate::native::elf::{ElfFile, Machine};
use crate::process::{executable_memory, open_mapped};

/// A thread, and what the runtime has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Thread {
    /// What `pthread_self()` gives.
    pub(super) itself: u64,
    pub(super) state: u64,
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

/// Beside the block of a thread lie its variables, below on x86_64 and above on aarch64.
const VARIABLES: u64 = 4096;
const PAGE: u64 = 4096;

/// Where each of the threads has its state, as a variable of its own or under a key. Of several places the one that most
/// threads agree on, and of those the nearest: farther away are stacks.
pub(super) fn near(memory: &dyn ReadMemory, threads: &[Thread]) -> Option<ThreadSlot> {
    let mut agreed: BTreeMap<i32, usize> = BTreeMap::new();
    for offset in threads.iter().flat_map(|thread| beside(memory, thread)) {
        *agreed.entry(offset).or_default() += 1;
    }
    let most = agreed.values().max()?;
    let places = agreed.iter().filter(|(_, threads)| *threads == most);
    places.map(|(offset, _)| *offset).min_by_key(|offset| offset.unsigned_abs()).map(ThreadSlot::At)
}

/// From one end of the pages around a thread's block to the other, as far as they are there.
fn beside(memory: &dyn ReadMemory, thread: &Thread) -> Vec<i32> {
    let first = thread.itself.saturating_sub(VARIABLES) & !(PAGE - 1);
    let end = thread.itself.saturating_add(THREAD_WORDS as u64 * 8 + VARIABLES);
    let pages = (first..end).step_by(PAGE as usize);
    let words = pages.flat_map(|page| (page..).step_by(8).zip(memory.words(page, PAGE as usize / 8)));
    let places = words.filter(|(_, word)| *word == thread.state);
    places.filter_map(|(address, _)| i32::try_from(address.wrapping_sub(thread.itself).cast_signed()).ok()).collect()
}

/// From the thread pointer to what `pthread_self()` gives. On x86_64 they are one. On aarch64 the C library's function
/// says it: it reads the thread pointer and takes the size of the block from it.
pub(super) fn self_offset(machine: Machine, pid: u32) -> Option<i32> {
    match machine {
        Machine::X86_64 => Some(0),
        Machine::Aarch64 => subtracted(&code_of(pid, "pthread_self")?),
    }
}

/// Where a thread has what it stores under a key, from the thread pointer. Known of glibc's first keys on x86_64, which lie
/// in the thread's block, at a distance that its code has.
pub(super) fn of_key(machine: Machine, pid: u32, key: u32) -> Option<i32> {
    /// Each with a number that says whose key it was.
    const KEY: i32 = 16;
    const KEYS_IN_BLOCK: u32 = 32;
    if machine != Machine::X86_64 || key >= KEYS_IN_BLOCK {
        return None;
    }
    let first = keys_in_block(&code_of(pid, "pthread_getspecific")?)?;
    Some(first + i32::try_from(key).ok()? * KEY + KEY / 2)
}

/// Keys are counted from the block's beginning, in sixteens: `add $constant, %rax` (`lea constant(%rdi), %eax` until 2.33)
/// and `shl $4, %rax`.
fn keys_in_block(code: &[u8]) -> Option<i32> {
    let constant = code.windows(8).find_map(|bytes| match *bytes {
        [0x48, 0x83, 0xc0, constant, 0x48, 0xc1, 0xe0, 4] | [_, 0x8d, 0x47, constant, 0x48, 0xc1, 0xe0, 4] => {
            Some(constant)
        }
        _ => None,
    })?;
    (constant < 0x80).then(|| i32::from(constant) << 4)
}

/// The first instructions of a function of the C library, in whatever file of the process has it.
fn code_of(pid: u32, function: &str) -> Option<Vec<u8>> {
    const LONGEST: u64 = 64;
    let memory = executable_memory(pid).ok()?;
    memory.iter().find_map(|memory| {
        let file = ElfFile::open(open_mapped(pid, memory).ok()?).ok()?;
        let [function] = exports::find(&file, [function]);
        file.code(function?.address, LONGEST).ok()
    })
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
            assert_eq!(subtracted(&code), offset);
        }
    }

    #[test]
    fn the_first_keys_lie_where_the_library_looks_for_them() {
        // glibc 2.36 and 2.31
        let added = [0x83, 0xff, 0x1f, 0x77, 0x3b, 0x89, 0xf8, 0x48, 0x83, 0xc0, 0x31, 0x48, 0xc1, 0xe0, 4, 0x64];
        let counted = [0x83, 0xff, 0x1f, 0x77, 0x3b, 0x8d, 0x47, 0x31, 0x48, 0xc1, 0xe0, 4, 0x64, 0x48];
        assert_eq!(
            [keys_in_block(&added), keys_in_block(&counted), keys_in_block(&added[8..])],
            [Some(784), Some(784), None]
        );
    }
}
