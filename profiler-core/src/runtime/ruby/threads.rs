//! The threads of a process. Whatever is found on the way to them says that it belongs to them, and they to it.

use std::ops::Range;

use super::Instance;
use super::functions;
use super::layout::{Itself, Layout, Root};
use crate::runtime::memory::ReadMemory;
use crate::runtime::thread_slot::Thread;

/// Words of variables that are looked at.
const MAX_VARIABLES: usize = 1 << 20;
/// Threads that are looked at: enough to tell chance from rule.
const MAX_THREADS: usize = 16;
/// Those that are passed on the way to them.
const MAX_PASSED: usize = 4096;
/// Frames of a thread that are looked at.
const MAX_FRAMES: u64 = 256;

/// The thread that Ruby's variables lead to.
pub(super) fn first(memory: &dyn ReadMemory, layout: &Layout, variables: &Range<u64>) -> Option<u64> {
    let count = usize::try_from(variables.end.saturating_sub(variables.start) / 8).ok()?;
    let words = memory.words(variables.start, count.min(MAX_VARIABLES));
    words.into_iter().filter(|word| *word & 7 == 0 && *word >> 12 != 0).find_map(|word| {
        let (offset, says_so) = match layout.root {
            Root::Context => (layout.context_thread, layout.thread_context),
            Root::Machine(main) => (main, layout.thread_machine),
        };
        let thread = memory.pointer(word.wrapping_add(offset.into()))?;
        let is_its = memory.pointer(thread.wrapping_add(says_so.into()))? == word;
        (is_its && is_thread(memory, layout, thread)).then_some(thread)
    })
}

/// That thread and those beside it in its list, which is a circle with something else in it.
pub(super) fn beside(memory: &dyn ReadMemory, layout: &Layout, first: u64) -> Vec<Thread> {
    let mut found = Vec::new();
    let mut next = Some(first);
    for _ in 0..MAX_PASSED {
        let Some(node) = next.filter(|_| found.len() < MAX_THREADS) else { break };
        if is_thread(memory, layout, node)
            && let Some(itself) = itself(memory, layout, node)
        {
            found.push(Thread { itself, state: node });
        }
        // `lt_node.next`, the first of a thread's words.
        next = memory.pointer(node).filter(|next| *next != first);
    }
    found
}

fn is_thread(memory: &dyn ReadMemory, layout: &Layout, thread: u64) -> bool {
    let context = memory.pointer(thread.wrapping_add(layout.thread_context.into()));
    context.is_some_and(|context| memory.pointer(context.wrapping_add(layout.context_thread.into())) == Some(thread))
}

fn itself(memory: &dyn ReadMemory, layout: &Layout, thread: u64) -> Option<u64> {
    match layout.thread_itself {
        Itself::At(offset) => memory.pointer(thread.wrapping_add(offset.into())),
        Itself::Behind(native, offset) => {
            memory.pointer(memory.pointer(thread.wrapping_add(native.into()))?.wrapping_add(offset.into()))
        }
    }
}

/// Whether its frames are what frames are, down to the last one, and one of them has a name and a file.
pub(super) fn has_frames(memory: &dyn ReadMemory, instance: &Instance, thread: u64) -> bool {
    let layout = &instance.layout;
    let Some(context) = memory.pointer(thread.wrapping_add(layout.thread_context.into())) else { return false };
    // `vm_stack`, `vm_stack_size`, `cfp`
    let [stack, size, innermost] = *memory.words(context, 3) else { return false };
    let end = stack.wrapping_add(size.wrapping_mul(8));
    let frame_size = u64::from(layout.frame_size);
    let room = end.wrapping_sub(innermost);
    if room == 0 || room > size.wrapping_mul(8) || room % frame_size != 0 {
        return false;
    }
    let mut is_named = false;
    for number in 0..(room / frame_size).min(MAX_FRAMES) {
        // `pc`, `sp`, `iseq`, `self`, `ep`
        let [_, _, code, _, environment] = *memory.words(innermost + number * frame_size, 5) else { return false };
        let Some(flags) = memory.word(environment) else { return false };
        if !is_frame(flags) {
            return false;
        }
        is_named = is_named || functions::is_readable(instance, memory, code);
    }
    is_named
}

/// `ruby_is_frame` of the kernel's side.
fn is_frame(flags: u64) -> bool {
    let kind = flags >> 16;
    flags & 1 == 1
        && (matches!(kind, 0x7888 | 0x7999) || (kind.is_multiple_of(0x1111) && (1..=7).contains(&(kind / 0x1111))))
}
