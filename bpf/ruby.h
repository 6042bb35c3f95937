// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames of Ruby. Those of a thread's methods, blocks and C functions lie side by side, the innermost first and at the
// lowest address. Each call of the interpreter's loop from C, an entry, runs the frames up to one that is marked. Machine
// code that YJIT made runs in the place of the loop, or below it and for the same entry.
#pragma once

#include "unwinder.h"

// Where things are in a process; offsets unless said otherwise.
struct ruby_process {
	u64 text_start;	     // address of Ruby's own machine code
	u64 text_end;
	u64 loop_start;	     // address of the interpreter's loop in it
	u64 loop_end;
	s32 self;	     // from the thread pointer to what pthread_self() gives
	s32 slot;	     // from there to the thread, or where it begins if `slot_within` is not negative
	s32 slot_within;     // in what the slot points to
	u16 thread_context;  // of a thread: its execution context
	u16 context_thread;  // of an execution context: its thread
	u16 frame_size;
	u16 pad;
	u32 pad2;
};

// By pid: what user space has looked at and found to be as it should.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct ruby_process);
} ruby_processes SEC(".maps");

// Of all known versions (vm_core.h, method.h): words of an execution context (vm_stack, vm_stack_size, cfp), of a frame
// (pc, sp, iseq, self, ep), and before and at `ep` (method entry or class reference, environment around it, flags).
enum { CONTEXT_STACK = 0, CONTEXT_SIZE = 1, CONTEXT_FRAME = 2, CONTEXT_WORDS = 3 };
enum { FRAME_PC = 0, FRAME_CODE = 2, FRAME_ENVIRONMENT = 4, FRAME_WORDS = 5 };
enum { ENVIRONMENT_METHOD = 0, ENVIRONMENT_OUTER = 1, ENVIRONMENT_FLAGS = 2, ENVIRONMENT_WORDS = 3 };
// VM_FRAME_MAGIC_*, VM_FRAME_FLAG_FINISH, VM_ENV_FLAG_LOCAL
#define RUBY_KIND(flags) ((flags) >> 16 & 0x7fff)
enum { RUBY_CFUNC = 0x5555, RUBY_IFUNC = 0x6666, RUBY_EVAL = 0x7777, RUBY_RESCUE = 0x7888, RUBY_DUMMY = 0x7999 };
#define RUBY_ENTRY 0x20
#define RUBY_LOCAL 2
// Objects of the interpreter's own: T_IMEMO and what it is of (imemo_svar, imemo_ment), in the flags; what belongs to a
// method is behind special variables where it has some.
#define RUBY_INTERNAL(flags) ((flags) & 0xf01f)
#define RUBY_SPECIAL_VARIABLES 0x201a
#define RUBY_METHOD_ENTRY 0x601a
#define RUBY_BEHIND_VARIABLES 8
// rb_iseq_t.body; rb_iseq_constant_body.iseq_encoded and .location (path, base label, label); rb_method_entry_t.def
#define RUBY_CODE_BODY 16
#define RUBY_BODY_FIRST 8
#define RUBY_BODY_LOCATION 64
#define RUBY_METHOD_DEFINITION 16

// Blocks within blocks up to their method.
#define RUBY_ENVIRONMENTS 10
// YJIT's code keeps some words on the stack between its caller's return address and its own calls.
#define RUBY_MADE_WORDS 32
// A place in a function's code, in words; above it lies a part of the check.
#define RUBY_PLACE_BITS 20
#define RUBY_NO_PLACE ((1u << RUBY_PLACE_BITS) - 1)

inline_always int ruby_word(u64 address, u64 *word)
{
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

// The innermost frame of the thread that runs; 0: it has none.
inline_always u64 ruby_innermost(struct ruby_process *process)
{
	u64 slot = thread_pointer(bpf_get_current_task_btf()) + (s64)process->self + (s64)process->slot;
	u64 thread, context, belongs, words[CONTEXT_WORDS];
	if (process->slot_within >= 0) {
		if (!ruby_word(slot, &slot) || !slot) {
			count_runtime(UNWINDER_RUBY, RUNTIME_NO_THREAD);
			return 0;
		}
		slot += process->slot_within;
	}
	if (!ruby_word(slot, &thread) || !thread) {
		count_runtime(UNWINDER_RUBY, RUNTIME_NO_THREAD);
		return 0;
	}
	if (!ruby_word(thread + process->thread_context, &context) ||
	    !ruby_word(context + process->context_thread, &belongs) || belongs != thread) {
		count_runtime(UNWINDER_RUBY, RUNTIME_OTHER_THREAD);
		return 0;
	}
	if (bpf_probe_read_user(words, sizeof(words), (void *)context) ||
	    words[CONTEXT_FRAME] - words[CONTEXT_STACK] >= words[CONTEXT_SIZE] * 8) {
		count_runtime(UNWINDER_RUBY, RUNTIME_UNREADABLE);
		return 0;
	}
	count_runtime(UNWINDER_RUBY, RUNTIME_ENTERED);
	return words[CONTEXT_FRAME];
}

inline_always int ruby_is_frame(u64 flags)
{
	u64 kind = RUBY_KIND(flags);
	// Of methods and so on up to those of eval the digits are the same.
	return flags & 1 && !(flags >> 31) &&
	       ((kind && kind <= RUBY_EVAL && kind % 0x1111 == 0) || kind == RUBY_RESCUE || kind == RUBY_DUMMY);
}

// The entry of the method that a frame with this environment is in; 0: it is in none.
inline_always u64 ruby_method(u64 environment)
{
	for (int i = 0; i < RUBY_ENVIRONMENTS; i++) {
		u64 words[ENVIRONMENT_WORDS], flags;
		if (bpf_probe_read_user(words, sizeof(words), (void *)(environment - 16)))
			return 0;
		u64 is_local = words[ENVIRONMENT_FLAGS] & RUBY_LOCAL, object = words[ENVIRONMENT_METHOD];
		if (object && ruby_word(object, &flags)) {
			if (is_local && RUBY_INTERNAL(flags) == RUBY_SPECIAL_VARIABLES &&
			    (!ruby_word(object + RUBY_BEHIND_VARIABLES, &object) || !ruby_word(object, &flags)))
				return 0;
			if (RUBY_INTERNAL(flags) == RUBY_METHOD_ENTRY)
				return object;
		}
		if (is_local)
			return 0;
		environment = words[ENVIRONMENT_OUTER] & ~3ull;
	}
	return 0;
}

// Of what user space can see of a function as well, and that is another one's when this one is gone.
inline_always u32 ruby_check(u64 bits)
{
	bits ^= bits >> 32;
	bits ^= bits >> 16;
	return bits & 0xfff;
}

// A function is two objects of one heap, its code and the method that it belongs to; the latter has but the bits in which
// they differ, and those at most. A C function has no code, and stands in its place.
inline_always void ruby_push(struct walk *walk, u64 code, u64 method, u32 place, u32 check)
{
	u64 bits = method >> 3;
	push_runtime(walk, code << 16 | (bits & 0x7ffff), check << RUBY_PLACE_BITS | place, FRAME_RUBY, bits >> 19);
}

inline_always int ruby_push_frame(struct walk *walk, u64 *frame, u64 flags)
{
	u64 code = frame[FRAME_CODE], kind = RUBY_KIND(flags), body, words[3];
	// What the interpreter puts below the first, and what stands for C that is called as a block is.
	if (kind == RUBY_DUMMY || kind == RUBY_IFUNC)
		return 1;
	u64 method = ruby_method(frame[FRAME_ENVIRONMENT]);
	if (kind == RUBY_CFUNC) {
		u64 definition;
		if (!method || !ruby_word(method + RUBY_METHOD_DEFINITION, &definition))
			return 0;
		ruby_push(walk, method, 0, RUBY_NO_PLACE, ruby_check(definition));
		return 1;
	}
	if (!ruby_word(code + RUBY_CODE_BODY, &body) || !ruby_word(body + RUBY_BODY_FIRST, &words[0]))
		return 0;
	u64 place = (frame[FRAME_PC] - words[0]) / 8;
	if (place > RUBY_NO_PLACE)
		place = RUBY_NO_PLACE;
	if (bpf_probe_read_user(words, sizeof(words), (void *)(body + RUBY_BODY_LOCATION)))
		return 0;
	ruby_push(walk, code, method, place, ruby_check(body ^ words[0] ^ words[1] ^ words[2]));
	return 1;
}

// Where on the stack the code that YJIT made has its return address, in words from 1 on; 0: it is not found. A function of
// its own, as `step` is.
__attribute__((noinline)) int ruby_return_place(struct walk *walk, u64 start, u64 end)
{
	u64 word;
	if (!walk)
		return 0;
	for (int i = 0; i < RUBY_MADE_WORDS; i++) {
		if (!ruby_word(walk->sp + 8 * i, &word))
			return 0;
		if (word >= start && word < end)
			return i + 1;
	}
	return 0;
}

// From the code that YJIT made to its caller.
inline_always int ruby_leave_made_code(struct walk *walk, int place)
{
	u64 sp = walk->sp + 8 * (u64)(u32)place, ip;
	if (!place || !ruby_word(sp - 8, &ip))
		return leave_runtime(walk);
	walk->inside = 0;
	walk->by_pointer = 0;
	walk->lr_valid = 0;
	return move(walk, ip, sp, walk->fp);
}

// A function of its own, as `step` is.
__attribute__((noinline)) int ruby_step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	if (walk->frames >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	u32 pid = walk->record.pid;
	struct ruby_process *process = bpf_map_lookup_elem(&ruby_processes, &pid);
	if (!process) {
		count_runtime(UNWINDER_RUBY, RUNTIME_NO_PROCESS);
		return leave_runtime(walk);
	}
	if (is_first_visit(walk, UNWINDER_RUBY))
		walk->runtime_frames[UNWINDER_RUBY] = ruby_innermost(process);
	u64 within = walk->exact ? walk->ip : walk->ip - 1;
	int is_made = within < process->text_start || within >= process->text_end, place = 0;
	if (is_made) {
		u64 caller;
		place = ruby_return_place(walk, process->text_start, process->text_end);
		// The loop has the entry's frames.
		if (place && ruby_word(walk->sp + 8 * (u64)(u32)place - 8, &caller) && caller > process->loop_start &&
		    caller <= process->loop_end)
			return ruby_leave_made_code(walk, place);
	}
	u64 frame = walk->runtime_frames[UNWINDER_RUBY], words[FRAME_WORDS], flags;
	if (!frame)
		return is_made ? ruby_leave_made_code(walk, place) : leave_runtime(walk);
	if (bpf_probe_read_user(words, sizeof(words), (void *)frame) || !ruby_word(words[FRAME_ENVIRONMENT], &flags) ||
	    !ruby_is_frame(flags) || !ruby_push_frame(walk, words, flags)) {
		count_runtime(UNWINDER_RUBY, RUNTIME_UNREADABLE);
		walk->runtime_frames[UNWINDER_RUBY] = 0;
		return is_made ? ruby_leave_made_code(walk, place) : leave_runtime(walk);
	}
	walk->runtime_frames[UNWINDER_RUBY] = frame + process->frame_size;
	if (flags & RUBY_ENTRY)
		return is_made ? ruby_leave_made_code(walk, place) : leave_runtime(walk);
	walk->inside = 1;
	return STEP_DONE;
}

UNWINDER_PROGRAMS(ruby, UNWINDER_RUBY, ruby_step)
