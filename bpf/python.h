// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames of CPython. Each call of its evaluation loop from C, an entry, runs one Python function, and from 3.11 on those
// as well that this one calls; the frames of all entries of a thread are one list, the innermost first.
#pragma once

#include "unwinder.h"

// Which word of a frame says that an entry's frames end with it.
enum {
	PYTHON_ENTRY_EACH = 0,	 // no word: each entry has one frame (until 3.10)
	PYTHON_ENTRY_MARKED = 1, // set in the last one (3.11)
	PYTHON_ENTRY_BEYOND = 2, // a frame follows that is the loop's own, and is no function's (from 3.12 on)
};
// What stands in a frame's place: an index, or the address of an instruction.
enum { PYTHON_PLACE_INDEX = 0, PYTHON_PLACE_ADDRESS = 1 };
// Owners of frames from this on are no functions (FRAME_OWNED_BY_CSTACK of 3.12, FRAME_OWNED_BY_INTERPRETER of 3.14).
#define PYTHON_OWNER_LOOP 3

// Where things are in a process; offsets unless said otherwise.
struct python_process {
	u64 current;	     // address of the state of the thread that holds the one lock; 0: not known
	s32 self;	     // from the thread pointer to what pthread_self() gives
	s32 slot;	     // from there to the thread's state, or where it begins if `slot_within` is not negative
	s32 slot_within;     // in what the slot points to
	u16 state_thread;    // of a thread's state: what pthread_self() gave
	u16 state_frame;     // the innermost frame
	s16 loop_frame;	     // negative: it is there; else it is in what is there
	u16 frame_code;
	u16 frame_back;
	u16 frame_place;
	u16 frame_entry;
	u16 code_name;
	u16 code_line;
	u16 code_first;      // the first instruction
	u16 text_hash;
	u8 entry;	     // PYTHON_ENTRY_*
	u8 place;	     // PYTHON_PLACE_*
};

// By pid: what user space has looked at and found to be as it should.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct python_process);
} python_processes SEC(".maps");

inline_always int python_word(u64 address, u64 *word)
{
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

// A state says whose it is.
inline_always int python_belongs(struct python_process *process, u64 state, u64 self)
{
	u64 thread;
	return state && python_word(state + process->state_thread, &thread) && thread == self;
}

// The state of the thread that runs; 0: it has none.
inline_always u64 python_state(struct python_process *process)
{
	u64 self = thread_pointer(bpf_get_current_task_btf()) + (s64)process->self, state;
	// Of several interpreters in one thread, the one that runs.
	if (process->current && python_word(process->current, &state) && python_belongs(process, state, self))
		return state;
	u64 slot = self + (s64)process->slot;
	if (process->slot_within >= 0) {
		// What the thread has not asked for yet.
		if (!python_word(slot, &slot) || !slot) {
			count_runtime(UNWINDER_PYTHON, RUNTIME_NO_THREAD);
			return 0;
		}
		slot += process->slot_within;
	}
	if (!python_word(slot, &state) || !state) {
		count_runtime(UNWINDER_PYTHON, RUNTIME_NO_THREAD);
		return 0;
	}
	if (python_belongs(process, state, self))
		return state;
	count_runtime(UNWINDER_PYTHON, RUNTIME_OTHER_THREAD);
	return 0;
}

inline_always u64 python_innermost(struct python_process *process)
{
	u64 state = python_state(process), frame;
	if (!state)
		return 0;
	if (!python_word(state + process->state_frame, &frame) ||
	    (process->loop_frame >= 0 && frame && !python_word(frame + process->loop_frame, &frame))) {
		count_runtime(UNWINDER_PYTHON, RUNTIME_UNREADABLE);
		return 0;
	}
	count_runtime(UNWINDER_PYTHON, RUNTIME_ENTERED);
	return frame;
}

// Of a function's name, which user space can see as well, and the line in which it begins. 0: not readable.
inline_always u16 python_check(struct python_process *process, u64 code)
{
	u64 name, hash;
	u32 line;
	if (!python_word(code + process->code_name, &name) || !python_word(name + process->text_hash, &hash) ||
	    bpf_probe_read_user(&line, sizeof(line), (void *)(code + process->code_line)))
		return 0;
	return check_of(hash ^ line);
}

// The place in a function's code; the largest number where it is not known.
inline_always int python_place(struct python_process *process, u64 frame, u64 code, u32 *place)
{
	if (process->place == PYTHON_PLACE_INDEX)
		return bpf_probe_read_user(place, sizeof(*place), (void *)(frame + process->frame_place)) == 0;
	u64 instruction;
	if (!python_word(frame + process->frame_place, &instruction))
		return 0;
	u64 within = instruction - code - process->code_first;
	*place = within >> 31 ? ~0u : within;
	return 1;
}

// A function of its own, as `step` is.
__attribute__((noinline)) int python_step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	if (walk->frames >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	u32 pid = walk->record.pid;
	struct python_process *process = bpf_map_lookup_elem(&python_processes, &pid);
	if (!process) {
		count_runtime(UNWINDER_PYTHON, RUNTIME_NO_PROCESS);
		return leave_runtime(walk);
	}
	if (is_first_visit(walk, UNWINDER_PYTHON))
		walk->runtime_frames[UNWINDER_PYTHON] = python_innermost(process);
	u64 frame = walk->runtime_frames[UNWINDER_PYTHON], code, back;
	if (!frame)
		return leave_runtime(walk);
	u32 place;
	u8 entry = 0;
	if (!python_word(frame + process->frame_code, &code) || !python_word(frame + process->frame_back, &back) ||
	    (process->entry != PYTHON_ENTRY_EACH &&
	     bpf_probe_read_user(&entry, sizeof(entry), (void *)(frame + process->frame_entry)))) {
		count_runtime(UNWINDER_PYTHON, RUNTIME_UNREADABLE);
		walk->runtime_frames[UNWINDER_PYTHON] = 0;
		return leave_runtime(walk);
	}
	walk->runtime_frames[UNWINDER_PYTHON] = back;
	if (process->entry == PYTHON_ENTRY_BEYOND && entry >= PYTHON_OWNER_LOOP)
		return leave_runtime(walk);
	// From 3.14 on the lowest bits say who counts the reference.
	code &= ~7ull;
	if (!python_place(process, frame, code, &place))
		place = ~0u;
	push_runtime(walk, code, place, FRAME_PYTHON, python_check(process, code));
	if (process->entry == PYTHON_ENTRY_EACH || (process->entry == PYTHON_ENTRY_MARKED && entry))
		return leave_runtime(walk);
	walk->inside = 1;
	return STEP_DONE;
}

UNWINDER_PROGRAMS(python, UNWINDER_PYTHON, python_step)
