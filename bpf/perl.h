// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames of Perl, of builds with threads. What is called, evaluated, looped over and so on are contexts, the outermost
// first, on one or more stacks of contexts of an interpreter. Each call of the loop that runs operations from C, an entry,
// runs what lies above a context that says that nothing follows it.
#pragma once

#include "unwinder.h"

// Where things are in a process; offsets unless said otherwise.
struct perl_process {
	u64 main;	  // address of the interpreter of the main thread
	s32 slot;	  // from the thread pointer to the thread's interpreter; 0: not known, but for the main thread
	u16 operation;	  // of an interpreter: the last place in the source that was passed (PL_curcop)
	u16 stack;	  // the stack of arguments (PL_curstack)
	u16 contexts;	  // that of contexts (PL_curstackinfo), which names the former
	u16 pad;
	u32 pad2;
};

// By pid: what user space has looked at and found to be as it should.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct perl_process);
} perl_processes SEC(".maps");

// Of all known versions (cop.h, cv.h), in words. A stack of contexts: si_stack, si_cxstack, si_prev, si_next, si_cxix.
enum { STACK_ARGUMENTS = 0, STACK_CONTEXTS = 1, STACK_BELOW = 2, STACK_TOP = 4, STACK_WORDS = 5 };
// A context: its type (a byte), blk_oldcop, retop of those that return, cv of subroutines and formats.
enum { CONTEXT_TYPE = 0, CONTEXT_OPERATION = 2, CONTEXT_RETURN = 6, CONTEXT_SUB = 9, PERL_CONTEXT_WORDS = 10 };
#define PERL_CONTEXT_SIZE 104
// CXt_*, and CXp_TRYBLOCK: a block of the code around it.
#define PERL_TYPE(word) ((word) & 15)
enum { PERL_SORT_BLOCK = 0, PERL_SUB = 9, PERL_FORMAT = 10, PERL_EVAL = 11 };
#define PERL_TRY_BLOCK 0x40
// cop_line; sv_any; xcv_start_u and xcv_gv_u
#define PERL_OPERATION_LINE 36
#define PERL_SUB_BODY 0
#define PERL_BODY_START 40
#define PERL_BODY_NAME 56

// Beside the address of a place: it is where the processor was, not where a call was made.
#define PERL_CURRENT 1
// Contexts that are passed in one step.
#define PERL_CONTEXTS 8

inline_always int perl_word(u64 address, u64 *word)
{
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

// The interpreter of the thread that runs; 0: it has none.
inline_always u64 perl_interpreter(struct walk *walk, struct perl_process *process)
{
	u64 interpreter = 0;
	if (process->slot)
		perl_word(thread_pointer(bpf_get_current_task_btf()) + (s64)process->slot, &interpreter);
	else if (walk->record.tid == walk->record.pid)
		perl_word(process->main, &interpreter);
	return interpreter;
}

inline_always void perl_begin(struct walk *walk, struct perl_process *process)
{
	u64 interpreter = perl_interpreter(walk, process), arguments, of_contexts;
	walk->runtime_stacks[UNWINDER_PERL] = 0;
	walk->runtime_frames[UNWINDER_PERL] = 0;
	if (!interpreter) {
		count_runtime(UNWINDER_PERL, RUNTIME_NO_THREAD);
		return;
	}
	u64 stack, operation;
	if (!perl_word(interpreter + process->contexts, &stack) || !perl_word(interpreter + process->stack, &arguments) ||
	    !perl_word(interpreter + process->operation, &operation) || !perl_word(stack, &of_contexts)) {
		count_runtime(UNWINDER_PERL, RUNTIME_UNREADABLE);
		return;
	}
	if (arguments != of_contexts) {
		count_runtime(UNWINDER_PERL, RUNTIME_OTHER_THREAD);
		return;
	}
	walk->runtime_stacks[UNWINDER_PERL] = stack;
	walk->runtime_places[UNWINDER_PERL] = operation | PERL_CURRENT;
	count_runtime(UNWINDER_PERL, RUNTIME_ENTERED);
}

// 0: not known. A subroutine that was called just now has passed none of its own places: `before` is that of the call.
inline_always u32 perl_line(u64 operation, u64 before)
{
	u32 line = 0;
	if (operation != (before | PERL_CURRENT))
		bpf_probe_read_user(&line, sizeof(line), (void *)((operation & ~1ull) + PERL_OPERATION_LINE));
	return line;
}

// Of what user space can see of a subroutine as well, and that is another one's when this one is gone.
inline_always u16 perl_check(u64 sub)
{
	u64 body, start, name;
	if (!perl_word(sub + PERL_SUB_BODY, &body) || !perl_word(body + PERL_BODY_START, &start) ||
	    !perl_word(body + PERL_BODY_NAME, &name))
		return 0;
	return check_of(body ^ start ^ name << 1);
}

// Whether an entry ends with a context that returns to no operation. The last one in the block of a sort does not return to
// any, either: there it is the block, below it, with which the entry ends.
inline_always int perl_is_last(u64 operation, u64 below, u64 first)
{
	u64 type;
	return !operation && !(below >= first && perl_word(below, &type) && PERL_TYPE(type) == PERL_SORT_BLOCK);
}

// A function of its own, as `step` is.
__attribute__((noinline)) int perl_step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	if (walk->frames >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	u32 pid = walk->record.pid;
	struct perl_process *process = bpf_map_lookup_elem(&perl_processes, &pid);
	if (!process) {
		count_runtime(UNWINDER_PERL, RUNTIME_NO_PROCESS);
		return leave_runtime(walk);
	}
	if (is_first_visit(walk, UNWINDER_PERL))
		perl_begin(walk, process);
	u64 stack = walk->runtime_stacks[UNWINDER_PERL], words[STACK_WORDS];
	if (!stack)
		return leave_runtime(walk);
	if (bpf_probe_read_user(words, sizeof(words), (void *)stack)) {
		count_runtime(UNWINDER_PERL, RUNTIME_UNREADABLE);
		walk->runtime_stacks[UNWINDER_PERL] = 0;
		return leave_runtime(walk);
	}
	u64 first = words[STACK_CONTEXTS], context = walk->runtime_frames[UNWINDER_PERL];
	if (!context)
		context = first + (s64)(s32)words[STACK_TOP] * PERL_CONTEXT_SIZE;
	for (int i = 0; i < PERL_CONTEXTS; i++) {
		u64 parts[PERL_CONTEXT_WORDS], operation = walk->runtime_places[UNWINDER_PERL];
		if (context < first) {
			walk->runtime_stacks[UNWINDER_PERL] = words[STACK_BELOW];
			walk->runtime_frames[UNWINDER_PERL] = 0;
			if (words[STACK_BELOW]) {
				walk->inside = 1;
				return STEP_DONE;
			}
			// The program itself is in no context: the place in it stands for it.
			push_runtime(walk, operation & ~1ull, perl_line(operation, 0), FRAME_PERL, 1);
			return leave_runtime(walk);
		}
		if (bpf_probe_read_user(parts, sizeof(parts), (void *)context)) {
			count_runtime(UNWINDER_PERL, RUNTIME_UNREADABLE);
			walk->runtime_stacks[UNWINDER_PERL] = 0;
			return leave_runtime(walk);
		}
		context -= PERL_CONTEXT_SIZE;
		walk->runtime_frames[UNWINDER_PERL] = context;
		u64 type = PERL_TYPE(parts[CONTEXT_TYPE]);
		// The block of a sort is code of the subroutine around it, and an entry of its own.
		if (type == PERL_SORT_BLOCK)
			return leave_runtime(walk);
		if (type == PERL_SUB || type == PERL_FORMAT) {
			u64 sub = parts[CONTEXT_SUB];
			u32 line = perl_line(operation, parts[CONTEXT_OPERATION]);
			push_runtime(walk, sub, line, FRAME_PERL, perl_check(sub));
			walk->runtime_places[UNWINDER_PERL] = parts[CONTEXT_OPERATION];
			walk->inside = 1;
			return perl_is_last(parts[CONTEXT_RETURN], context, first) ? leave_runtime(walk) : STEP_DONE;
		}
		if (type == PERL_EVAL) {
			// Code of another file, or of a text, counts as the place that asked for it.
			if (!(parts[CONTEXT_TYPE] & PERL_TRY_BLOCK))
				walk->runtime_places[UNWINDER_PERL] = parts[CONTEXT_OPERATION];
			if (perl_is_last(parts[CONTEXT_RETURN], context, first))
				return leave_runtime(walk);
		}
	}
	walk->inside = 1;
	return STEP_DONE;
}

UNWINDER_PROGRAMS(perl, UNWINDER_PERL, perl_step)
