//! The threads of a process, as the runtime lists them.

use super::layout::Layout;
use crate::runtime::memory::ReadMemory;
use crate::runtime::thread_slot::Thread;

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
