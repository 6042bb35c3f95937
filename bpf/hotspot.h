// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames of HotSpot. All code that it makes lies in its code cache, in blobs: that of a compiled method, the stubs and the
// interpreter. Frames of the interpreter are linked by the frame pointer; those of most blobs have one size, which the blob
// says, with the caller's frame pointer and the return address at their upper end; all others keep a frame pointer.
#pragma once

#include "unwinder.h"

// CodeCache has a heap for each kind of code, or one for all.
#define HOTSPOT_HEAPS 4
// A block's segments lead back to its first one, up to 254 at once: 128 hops are more than the largest method needs.
#define HOTSPOT_HOPS 128
// CodeHeap::free_sentinel
#define HOTSPOT_SEGMENT_FREE 0xff
// The farthest that a caller's stack pointer lies above an interpreter's frame: a method has 65,535 words of locals.
#define HOTSPOT_LOCALS (8 * 65536)

struct hotspot_heap {
	u64 start;    // blocks begin here
	u64 end;
	u64 segments; // a byte for each
};

// Where things are in a process; offsets unless said otherwise.
struct hotspot_process {
	struct hotspot_heap heaps[HOTSPOT_HEAPS];
	u64 interpreter; // its code
	u64 interpreter_end;
	u8 segment_shift;
	u8 block_header;	// bytes of a block before its blob
	u8 code_is_offset;	// from the blob on; else an address
	u8 entry_is_offset;	// from the code on; else an address
	u8 complete_is_short;
	u8 pad;
	s16 frame_place;	// from an interpreter's frame pointer on: the bytecode that runs
	u16 blob_name;
	u16 blob_code;
	u16 blob_frame;		// words of a frame
	u16 blob_complete;	// bytes of code until the frame is complete
	u16 compiled_method;
	u16 compiled_number;
	u16 compiled_entry;	// that of callers who know the class
	u16 method_const;
	u16 const_length;	// bytes of bytecode
	u16 const_code;		// where the bytecode begins
	u32 pad2;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct hotspot_process);
} hotspot_processes SEC(".maps");

// How much of its frame a function has while it runs.
enum {
	HOTSPOT_FRAME_WHOLE = 0,
	HOTSPOT_FRAME_LINK = 1,	  // all but that the frame pointer is the caller's still
	HOTSPOT_FRAME_PUSHED = 2, // the caller's frame pointer, above it the return address
	HOTSPOT_FRAME_NONE = 3,	  // the return address
};

inline_always int hotspot_word(u64 address, u64 *word)
{
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

inline_always int hotspot_unreadable(struct walk *walk)
{
	count_runtime(UNWINDER_HOTSPOT, RUNTIME_UNREADABLE);
	return stop(walk, STOP_UNREADABLE);
}

inline_always int hotspot_move(struct walk *walk, u64 ip, u64 sp, u64 fp)
{
	// Callers lie above.
	if (sp <= walk->sp)
		return stop(walk, STOP_NO_PROGRESS);
	walk->by_pointer = 0;
	walk->lr_valid = 0;
	return move(walk, ip, sp, fp);
}

// Of a frame that the processor is still making, or has taken down again.
inline_always int hotspot_leave_part(struct walk *walk, int part)
{
	u64 pair[2];
	if (bpf_probe_read_user(pair, sizeof(pair), (void *)walk->sp))
		return hotspot_unreadable(walk);
	if (part == HOTSPOT_FRAME_PUSHED)
		return hotspot_move(walk, pair[1], walk->sp + 16, pair[0]);
	return hotspot_move(walk, pair[0], walk->sp + 8, walk->fp);
}

inline_always int hotspot_leave_by_pointer(struct walk *walk)
{
	u64 pair[2];
	// Compiled code uses the register for anything else: then the stub has made no frame yet.
	if (walk->fp < walk->sp || walk->fp & 7)
		return walk->exact ? hotspot_leave_part(walk, HOTSPOT_FRAME_NONE) : stop(walk, STOP_POINTER_LOST);
	if (bpf_probe_read_user(pair, sizeof(pair), (void *)walk->fp))
		return hotspot_unreadable(walk);
	return hotspot_move(walk, pair[1], walk->fp + 16, pair[0]);
}

// The blob whose code is at an address; 0: there is none.
inline_always u64 hotspot_blob(struct hotspot_process *process, u64 address)
{
	u64 start = 0, segments = 0;
	u32 shift = process->segment_shift & 31;
	for (int i = 0; i < HOTSPOT_HEAPS; i++) {
		struct hotspot_heap *heap = &process->heaps[i];
		if (address >= heap->start && address < heap->end) {
			start = heap->start;
			segments = heap->segments;
		}
	}
	if (!start)
		return 0;
	u64 segment = (address - start) >> shift;
	for (int i = 0; i < HOTSPOT_HOPS; i++) {
		u8 back;
		if (bpf_probe_read_user(&back, sizeof(back), (void *)(segments + segment)) ||
		    back == HOTSPOT_SEGMENT_FREE || back > segment)
			return 0;
		if (!back)
			return start + (segment << shift) + process->block_header;
		segment -= back;
	}
	return 0;
}

// The frame before and after the body of a function, on x86_64: how compilers of HotSpot begin and end one.
inline_always int hotspot_part(struct hotspot_process *process, u64 blob, u64 code, u64 ip)
{
	u64 entry = 0, bytes, before;
	s32 complete = 0;
	if (process->complete_is_short) {
		s16 narrow;
		if (bpf_probe_read_user(&narrow, sizeof(narrow), (void *)(blob + process->blob_complete)))
			return HOTSPOT_FRAME_WHOLE;
		complete = narrow;
	} else if (bpf_probe_read_user(&complete, sizeof(complete), (void *)(blob + process->blob_complete))) {
		return HOTSPOT_FRAME_WHOLE;
	}
	if (!hotspot_word(ip, &bytes))
		return HOTSPOT_FRAME_WHOLE;
	if (complete < 0 || ip >= code + complete) {
		// pop rbp; ret
		if ((bytes & 0xff) == 0x5d)
			return HOTSPOT_FRAME_PUSHED;
		if ((bytes & 0xff) == 0xc3)
			return HOTSPOT_FRAME_NONE;
		// Between both the thread looks whether it has to wait. From 16 on: cmp rsp, [r15 + n]; ja
		if ((bytes & 0xffffff) == 0xa73b49 || (bytes & 0xffffff) == 0x673b49)
			return HOTSPOT_FRAME_NONE;
		if ((bytes & 0xffff) == 0x870f && hotspot_word(ip - 8, &before) &&
		    ((before >> 8 & 0xffffff) == 0xa73b49 || (before >> 32 & 0xffffff) == 0x673b49))
			return HOTSPOT_FRAME_NONE;
		// From 10 on: mov r10, [r15 + n]; test [r10], eax. Loops do so as well, without the ret.
		if ((bytes & 0xffffffff) == 0xc3028541)
			return HOTSPOT_FRAME_NONE;
		if ((bytes & 0xffffff) == 0x978b4d && hotspot_word(ip + 7, &before) && (u32)before == 0xc3028541)
			return HOTSPOT_FRAME_NONE;
		// Before: test eax, [rip + n]
		if ((bytes & 0xffff) == 0x0585 && (bytes >> 48 & 0xff) == 0xc3)
			return HOTSPOT_FRAME_NONE;
		return HOTSPOT_FRAME_WHOLE;
	}
	if (process->entry_is_offset) {
		u16 offset;
		if (bpf_probe_read_user(&offset, sizeof(offset), (void *)(blob + process->compiled_entry)))
			return HOTSPOT_FRAME_NONE;
		entry = code + offset;
	} else if (!hotspot_word(blob + process->compiled_entry, &entry)) {
		return HOTSPOT_FRAME_NONE;
	}
	if (!hotspot_word(entry, &bytes))
		return HOTSPOT_FRAME_NONE;
	// mov [rsp - n], eax: whether the stack is large enough.
	if ((bytes & 0xffffff) == 0x248489) {
		entry += 7;
		if (!hotspot_word(entry, &bytes))
			return HOTSPOT_FRAME_NONE;
	}
	if (ip <= entry)
		return HOTSPOT_FRAME_NONE;
	// push rbp; perhaps mov rbp, rsp; sub rsp, n
	if ((bytes & 0xff) == 0x55) {
		entry += 1;
		bytes >>= 8;
		if ((bytes & 0xffffff) == 0xec8b48 || (bytes & 0xffffff) == 0xe58948)
			entry += 3;
		return ip <= entry ? HOTSPOT_FRAME_PUSHED : HOTSPOT_FRAME_WHOLE;
	}
	// sub rsp, n; mov [rsp + n - 16], rbp
	if ((bytes & 0xffffff) == 0xec8148)
		return ip <= entry + 7 ? HOTSPOT_FRAME_LINK : HOTSPOT_FRAME_WHOLE;
	if ((bytes & 0xffffff) == 0xec8348)
		return ip <= entry + 4 ? HOTSPOT_FRAME_LINK : HOTSPOT_FRAME_WHOLE;
	return HOTSPOT_FRAME_NONE;
}

// Compiled code and stubs whose frames have a size.
inline_always int hotspot_leave_sized(struct walk *walk, u64 size, int part)
{
	u64 pair[2], sp = walk->sp + size;
	if (part == HOTSPOT_FRAME_PUSHED || part == HOTSPOT_FRAME_NONE)
		return hotspot_leave_part(walk, part);
	if (bpf_probe_read_user(pair, sizeof(pair), (void *)(sp - 16)))
		return hotspot_unreadable(walk);
	return hotspot_move(walk, pair[1], sp, part == HOTSPOT_FRAME_LINK ? walk->fp : pair[0]);
}

// The place in a method's bytecode; the largest number where it is not in there. False: there is no such method.
inline_always int hotspot_place(struct hotspot_process *process, u64 method, u64 bytecode, u64 in_register, u32 *place,
				u16 *check)
{
	u64 constant;
	u16 length;
	if (!method || !hotspot_word(method + process->method_const, &constant) ||
	    bpf_probe_read_user(&length, sizeof(length), (void *)(constant + process->const_length)))
		return 0;
	u64 code = constant + process->const_code;
	*check = check_of(constant);
	if (in_register - code < length)
		*place = in_register - code;
	else if (bytecode - code < length)
		*place = bytecode - code;
	else if (!bytecode && !length)
		*place = ~0u; // It calls native code.
	else
		return 0;
	return 1;
}

inline_always int hotspot_interpreted(struct walk *walk, struct hotspot_process *process)
{
	// Below the frame pointer: the method at -24, the caller's stack pointer at -8. Above: the caller's frame pointer, and
	// the return address.
	u64 words[5], bytecode = 0, fp = walk->fp;
	u32 place = ~0u;
	u16 check = 0;
	int is_leaf = walk->exact && !walk->frames;
	int is_frame = fp >= walk->sp && !(fp & 7) &&
		       !bpf_probe_read_user(words, sizeof(words), (void *)(fp - 24)) &&
		       hotspot_word(fp + (s64)process->frame_place, &bytecode) &&
		       hotspot_place(process, words[0], bytecode, is_leaf ? walk->place : 0, &place, &check);
	if (!is_frame) {
		push_runtime(walk, process->interpreter, ~0u, FRAME_HOTSPOT, 0);
		if (!walk->exact)
			return hotspot_leave_by_pointer(walk);
		// On the way into a method, before its frame is there, or on the way out.
		u64 bytes;
		if (hotspot_word(walk->ip, &bytes) && (bytes & 0xff) == 0xc3)
			return hotspot_leave_part(walk, HOTSPOT_FRAME_NONE);
		if (fp >= walk->sp && fp - walk->sp <= 80)
			return hotspot_leave_by_pointer(walk);
		return hotspot_leave_part(walk, HOTSPOT_FRAME_NONE);
	}
	push_runtime(walk, words[0], place, FRAME_HOTSPOT, check);
	u64 sp = words[2];
	if (sp < fp + 16 || sp > fp + 16 + HOTSPOT_LOCALS)
		sp = fp + 16;
	return hotspot_move(walk, words[4], sp, words[3]);
}

// A function of its own, as `step` is.
__attribute__((noinline)) int hotspot_step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	if (walk->frames >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	u32 pid = walk->record.pid;
	struct hotspot_process *process = bpf_map_lookup_elem(&hotspot_processes, &pid);
	if (!process) {
		count_runtime(UNWINDER_HOTSPOT, RUNTIME_NO_PROCESS);
		return leave_runtime(walk);
	}
	if (is_first_visit(walk, UNWINDER_HOTSPOT))
		count_runtime(UNWINDER_HOTSPOT, RUNTIME_ENTERED);
	if (walk->ip >= process->interpreter && walk->ip < process->interpreter_end)
		return hotspot_interpreted(walk, process);
	// A call may be the last instruction.
	u64 blob = hotspot_blob(process, walk->exact ? walk->ip : walk->ip - 1);
	u64 text, name, code;
	s32 words;
	if (!blob || !hotspot_word(blob + process->blob_name, &text) || !hotspot_word(text, &name) ||
	    bpf_probe_read_user(&words, sizeof(words), (void *)(blob + process->blob_frame))) {
		count_runtime(UNWINDER_HOTSPOT, RUNTIME_OTHER_THREAD);
		push_runtime(walk, walk->ip, 0, FRAME_HOTSPOT, 0);
		return hotspot_leave_by_pointer(walk);
	}
	if (process->code_is_offset) {
		u32 offset;
		if (bpf_probe_read_user(&offset, sizeof(offset), (void *)(blob + process->blob_code)))
			return hotspot_unreadable(walk);
		code = blob + offset;
	} else if (!hotspot_word(blob + process->blob_code, &code)) {
		return hotspot_unreadable(walk);
	}
	u64 size = words > 0 && words < (1 << 20) ? (u64)words * 8 : 0;
	// "nmethod", "native nmethod"
	int is_wrapper = name == 0x6e2065766974616eull;
	if (name == 0x00646f6874656d6eull || is_wrapper) {
		u64 method;
		u32 number;
		if (!hotspot_word(blob + process->compiled_method, &method) ||
		    bpf_probe_read_user(&number, sizeof(number), (void *)(blob + process->compiled_number)))
			return hotspot_unreadable(walk);
		int part = walk->exact ? hotspot_part(process, blob, code, walk->ip) : HOTSPOT_FRAME_WHOLE;
		push_runtime(walk, blob, walk->ip - code, FRAME_HOTSPOT, check_of(method ^ number));
		// Wrappers of native methods keep a frame pointer, and look for exceptions when the frame is gone.
		if (is_wrapper && walk->exact && part == HOTSPOT_FRAME_WHOLE)
			return walk->fp - walk->sp < size ? hotspot_leave_by_pointer(walk) :
							    hotspot_leave_part(walk, HOTSPOT_FRAME_NONE);
		return hotspot_leave_sized(walk, size, part);
	}
	push_runtime(walk, blob, walk->ip - code, FRAME_HOTSPOT, check_of(text));
	u64 bytes = 0;
	if (walk->exact && hotspot_word(walk->ip, &bytes)) {
		if ((bytes & 0xff) == 0xc3 || (bytes & 0xff) == 0x55)
			return hotspot_leave_part(walk, HOTSPOT_FRAME_NONE);
		// push rbp; mov rbp, rsp
		if ((bytes & 0xffffff) == 0xec8b48 || (bytes & 0xffffff) == 0xe58948 || (bytes & 0xff) == 0x5d)
			return hotspot_leave_part(walk, HOTSPOT_FRAME_PUSHED);
		// "vtable chunks", "I2C/C2I adapters": between a call and its function.
		if (name == 0x6320656c62617476ull || name == 0x204932432f433249ull)
			return hotspot_leave_part(walk, HOTSPOT_FRAME_NONE);
	}
	if (size)
		return hotspot_leave_sized(walk, size, HOTSPOT_FRAME_WHOLE);
	return hotspot_leave_by_pointer(walk);
}

UNWINDER_PROGRAMS(hotspot, UNWINDER_HOTSPOT, hotspot_step)
