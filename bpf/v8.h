// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames of V8. All of its code keeps frame pointers: each frame has its function, or what sort of frame it is, right
// below the caller's frame pointer. Code that a process makes is anonymous memory; what is built in is in V8's own file.
#pragma once

#include "unwinder.h"

// Where things are in objects, and the types of objects: all from the file's own description.
struct v8_process {
	u16 map_type;	     // of a map: the type of its objects
	u16 first_function;  // types of functions
	u16 last_function;
	u16 bytecodes;	     // type of what the interpreter runs
	u16 function_shared; // of a function: what all its closures share
	u16 shared_script;
	u16 shared_literal;  // its number in the script
	u16 script_id;
};

// By pid: what user space has looked at and found to be as it should.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct v8_process);
} v8_processes SEC(".maps");

// What lies around a frame pointer: StandardFrameConstants and UnoptimizedFrameConstants, and the pair that each frame has.
struct v8_frame {
	u64 offset; // of the bytecode, where it is interpreted
	u64 bytecodes;
	u64 arguments;
	u64 function;
	u64 context; // or the sort of frame
	u64 caller_fp;
	u64 caller_ip;
};
#define V8_BELOW_FP 40
// The context and the function are pushed after the frame pointer is set.
#define V8_SLOTS 16

// The lowest bits of a pointer to an object, and of a number.
#define V8_TAG_MASK 3
#define V8_TAG 1
#define V8_NUMBER_MASK 1
#define V8_NUMBER_SHIFT 32

// Sorts of frames, as they are pushed: in the bits above that of a number. ENTRY and CONSTRUCT_ENTRY: C++ called.
#define V8_ENTRY (1 << 1)
#define V8_CONSTRUCT_ENTRY (2 << 1)
// EntryFrameConstants::kFixedFrameSize on aarch64: what lies from the frame pointer up to the caller's stack.
#define V8_ENTRY_SIZE_AARCH64 (20 * 8)

// A frame of a function that is compiled: the address of the code, and above it and in the place what all closures of the
// function share, without the bits that are the same in all pointers; 0 where the function is not known.
#define V8_COMPILED (1ull << 63)
// It is where a call returns to.
#define V8_CALLER (1ull << 62)
#define V8_ADDRESS_BITS 48
#define V8_ALIGNMENT_BITS 3

// The place in a function where it is not known.
#define V8_NO_PLACE (~0u)

inline_always int v8_word(u64 address, u64 *word)
{
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

// A field of an object by its tagged pointer.
inline_always int v8_field(u64 object, u16 offset, u64 *word)
{
	return v8_word(object - V8_TAG + offset, word);
}

inline_always int v8_is_object(u64 word)
{
	return (word & V8_TAG_MASK) == V8_TAG;
}

// 0: it has none.
inline_always u16 v8_type(struct v8_process *process, u64 object)
{
	u64 map;
	u16 type;
	if (!v8_is_object(object) || !v8_field(object, 0, &map) || !v8_is_object(map) ||
	    bpf_probe_read_user(&type, sizeof(type), (void *)(map - V8_TAG + process->map_type)))
		return 0;
	return type;
}

// What all closures of a function share; 0: it is no function.
inline_always u64 v8_shared(struct v8_process *process, u64 function)
{
	u16 type = v8_type(process, function);
	u64 shared;
	if (type < process->first_function || type > process->last_function)
		return 0;
	return v8_field(function, process->function_shared, &shared) && v8_is_object(shared) ? shared : 0;
}

// Of the script and the function's number in it, which stay the same wherever the objects are moved. 0: not readable.
inline_always u16 v8_check(struct v8_process *process, u64 shared)
{
	u64 script, id = 0;
	u32 literal;
	// What is built in has none.
	if (!v8_field(shared, process->shared_script, &script) ||
	    (v8_is_object(script) && !v8_field(script, process->script_id, &id)) ||
	    bpf_probe_read_user(&literal, sizeof(literal), (void *)(shared - V8_TAG + process->shared_literal)))
		return 0;
	u64 hash = (id ^ literal) * 0x9e3779b97f4a7c15ull;
	return hash >> 48 ? hash >> 48 : 1;
}

#if defined(__TARGET_ARCH_x86)
// push rbp; mov rbp, rsp. Functions begin with some checks before that, which are no longer than this.
#define V8_MAKES_FRAME 0xe5894855u
#define V8_CHECKS 24
#endif

// Code without a frame of its own yet, or no longer: where it returns to. 0: it has a frame.
inline_always u64 v8_bare(struct walk *walk)
{
	u64 ip = 0;
#if defined(__TARGET_ARCH_x86)
	// From the byte before the instruction on.
	u8 code[1 + V8_CHECKS + 4];
	if (bpf_probe_read_user(code, sizeof(code), (void *)(walk->ip - 1)))
		return 0;
	u64 at = 0;
	// ret, ret n
	int is_bare = code[1] == 0xc3 || code[1] == 0xc2;
	u32 bytes = code[0] | (u32)code[1] << 8 | (u32)code[2] << 16 | (u32)code[3] << 24;
	if (bytes == V8_MAKES_FRAME) {
		is_bare = 1;
		at = 8;
	}
	for (int i = 4; i < 1 + V8_CHECKS + 4; i++) {
		bytes = bytes >> 8 | (u32)code[i] << 24;
		is_bare |= bytes == V8_MAKES_FRAME;
	}
	if (!is_bare || !v8_word(walk->sp + at, &ip))
		return 0;
	walk->sp += at + 8;
#else
	// The link register does not say whether it was saved.
	(void)walk;
#endif
	return ip;
}

// Where the code that was called last, which has no frame, returns to: to code that the process made. 0: not known.
inline_always u64 v8_caller_of_bare(struct walk *walk)
{
	u64 ip;
#if defined(__TARGET_ARCH_x86)
	if (!v8_word(walk->sp, &ip))
		return 0;
#else
	ip = walk->lr_valid ? walk->lr : 0;
#endif
	struct mapping *mapping = mapping_at(walk, ip - 1);
	return mapping && mapping->unwinder == UNWINDER_V8 && mapping->flags & MAPPING_ANONYMOUS ? ip : 0;
}

inline_always void v8_push_native(struct walk *walk)
{
	push(walk, walk->ip - walk->bias, walk->file, FRAME_NATIVE);
}

// What is compiled, with its function or without.
inline_always void v8_push_compiled(struct walk *walk, u64 shared, u16 check)
{
	u64 address = walk->ip & ((1ull << V8_ADDRESS_BITS) - 1);
	if (!walk->exact)
		address |= V8_CALLER;
	shared >>= V8_ALIGNMENT_BITS;
	push_runtime(walk, V8_COMPILED | shared >> 32 << V8_ADDRESS_BITS | address, shared, FRAME_V8, check);
}

// A function of its own, as `step` is.
__attribute__((noinline)) int v8_step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	// It may push two.
	if (walk->frames + 1 >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	u32 pid = walk->record.pid;
	struct v8_process *process = bpf_map_lookup_elem(&v8_processes, &pid);
	if (!process) {
		count_runtime(UNWINDER_V8, RUNTIME_NO_PROCESS);
		return leave_runtime(walk);
	}
	if (is_first_visit(walk, UNWINDER_V8))
		count_runtime(UNWINDER_V8, RUNTIME_ENTERED);
	struct v8_frame frame;
	if (walk->fp & 7 || walk->fp < walk->sp) {
		count_runtime(UNWINDER_V8, RUNTIME_UNREADABLE);
		return stop(walk, STOP_POINTER_LOST);
	}
	if (bpf_probe_read_user(&frame, sizeof(frame), (void *)(walk->fp - V8_BELOW_FP))) {
		count_runtime(UNWINDER_V8, RUNTIME_UNREADABLE);
		return stop(walk, STOP_UNREADABLE);
	}
	int is_made = walk->mapping_flags & MAPPING_ANONYMOUS;
	u64 shared = 0;
	u16 check = 0;
	if ((!walk->exact || walk->sp + V8_SLOTS <= walk->fp) && v8_is_object(frame.context))
		shared = v8_shared(process, frame.function);
	if (shared)
		check = v8_check(process, shared);
	if (shared && !is_made && !(frame.offset & V8_NUMBER_MASK) && v8_type(process, frame.bytecodes) == process->bytecodes) {
		// Whatever of the interpreter runs for it.
		push_runtime(walk, shared, frame.offset >> V8_NUMBER_SHIFT, FRAME_V8, check);
	} else {
		u64 ip = walk->exact ? v8_bare(walk) : 0;
		if (ip && is_made)
			v8_push_compiled(walk, 0, 0);
		else if (ip)
			v8_push_native(walk);
		if (ip)
			return move(walk, ip, walk->sp, walk->fp);
		if (is_made && shared) {
			v8_push_compiled(walk, shared, check);
		} else if (is_made) {
			push(walk, walk->ip, walk->file, FRAME_ANONYMOUS);
		} else {
			v8_push_native(walk);
			ip = walk->exact && shared ? v8_caller_of_bare(walk) : 0;
			walk->exact = 0;
			walk->ip = ip;
			if (ip)
				v8_push_compiled(walk, shared, check);
			else if (shared)
				push_runtime(walk, shared, V8_NO_PLACE, FRAME_V8, check);
		}
	}
	u64 sp = walk->fp + 16;
#if defined(__TARGET_ARCH_arm64)
	if (frame.context == V8_ENTRY || frame.context == V8_CONSTRUCT_ENTRY)
		sp = walk->fp + V8_ENTRY_SIZE_AARCH64;
#endif
	walk->by_pointer = 0;
	walk->lr_valid = 0;
	return move(walk, frame.caller_ip, sp, frame.caller_fp);
}

UNWINDER_PROGRAMS(v8, UNWINDER_V8, v8_step)
