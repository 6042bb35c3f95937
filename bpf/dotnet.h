// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames of CoreCLR. All code that it makes or maps lies in sections, which a tree of 128 KiB pieces of the address space
// leads to. A section is a heap of compiled methods, whose beginnings are in a map of nibbles; an image that was compiled
// ahead (ReadyToRun), which lists its functions; or a list of stubs. How a function begins says what its frame is: small
// ones keep no frame pointer.
#pragma once

#include "unwinder.h"

// RangeSectionMap: levels of 256 pointers, the last of which are fragments of sections.
#define DOTNET_LEVELS 5
#define DOTNET_LEVEL_BITS 8
#define DOTNET_PIECE_BITS 17
// Sections that share a piece.
#define DOTNET_FRAGMENTS 16
// Words of a map of nibbles that are looked at, each of which is of 256 bytes of code; from 10 on two are enough.
#define DOTNET_NIBBLE_WORDS 256
// A search among 2^20 functions of an image.
#define DOTNET_FUNCTION_STEPS 20
// RANGE_SECTION_CODEHEAP and RANGE_SECTION_RANGELIST
#define DOTNET_SECTION_HEAP 2
#define DOTNET_SECTION_STUBS 4
// What stands in place of a method's header in front of a stub (STUB_CODE_BLOCK_LAST).
#define DOTNET_LAST_STUB 15

// Where things are in a process; offsets unless said otherwise.
struct dotnet_process {
	u64 sections;		// address of the tree
	u16 section_flags;
	u16 section_module;
	u16 section_heap;
	u16 heap_base;		// the address of which the first nibble is
	u16 heap_nibbles;
	u16 header_method;
	u16 module_image;	// what is known of a module's compiled image
	u16 image_whole;	// of an image with several modules in it: the one that lists functions
	u16 image_functions;
	u16 image_count;
	u16 pad;
	u16 pad2;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct dotnet_process);
} dotnet_processes SEC(".maps");

// RangeSectionFragment. The lowest bit of a pointer to one, or to a level, says that it can be unloaded.
struct dotnet_fragment {
	u64 next;
	u64 begin;
	u64 end;
	u64 section;
};

// Where an address belongs.
struct dotnet_place {
	u64 start; // of the function; 0: it is a stub
	u16 check;
};

enum { DOTNET_NOT_FOUND = 0, DOTNET_FOUND = 1, DOTNET_UNREADABLE = 2 };

inline_always int dotnet_word(u64 address, u64 *word)
{
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

inline_always int dotnet_half(u64 address, u32 *half)
{
	return bpf_probe_read_user(half, sizeof(*half), (void *)address) == 0;
}

// Functions of their own, as `step` is: the verifier checks each once.

// 0: there is none.
__attribute__((noinline)) u64 dotnet_section(u64 level, u64 address)
{
	u32 shift = DOTNET_PIECE_BITS + DOTNET_LEVEL_BITS * (DOTNET_LEVELS - 1);
	for (int i = 0; i < DOTNET_LEVELS; i++) {
		u64 entry = address >> shift & ((1 << DOTNET_LEVEL_BITS) - 1);
		if (!dotnet_word(level + 8 * entry, &level))
			return 0;
		level &= ~1ull;
		if (!level)
			return 0;
		shift -= DOTNET_LEVEL_BITS;
	}
	for (int i = 0; i < DOTNET_FRAGMENTS && level; i++) {
		struct dotnet_fragment fragment;
		if (bpf_probe_read_user(&fragment, sizeof(fragment), (void *)level))
			return 0;
		if (address >= fragment.begin && address < fragment.end)
			return fragment.section;
		level = fragment.next & ~1ull;
	}
	return 0;
}

// The beginning of the method whose code is at an address of a heap; 0: not found. A nibble is of 32 bytes, in words from
// the highest on: 0, or 1 + the place of a beginning in units of 4 bytes. From 10 on, a word without any leads to the
// beginning before it: its offset, whose lowest nibble is 9 + that place.
__attribute__((noinline)) u64 dotnet_beginning(u64 base, u64 nibbles, u64 address)
{
	u64 offset = address - base;
	u64 at = offset >> 8;
	u32 word;
	if (!dotnet_half(nibbles + 4 * at, &word))
		return 0;
	if ((word & 15) <= 8) {
		word >>= 28 - 4 * (offset >> 5 & 7);
		// A method that begins behind the address.
		if ((word & 15) > (offset >> 2 & 7) + 1)
			word &= ~15u;
		offset = offset >> 5 << 5;
	}
	for (int i = 0; i < DOTNET_NIBBLE_WORDS && !word && at; i++) {
		at--;
		if (!dotnet_half(nibbles + 4 * at, &word))
			return 0;
		offset = (at << 8) + 7 * 32;
	}
	if (!word)
		return 0;
	if ((word & 15) > 8)
		return base + (word & ~15u) + 4 * ((word & 15) - 9);
	for (int i = 0; i < 7 && !(word & 15); i++) {
		word >>= 4;
		offset -= 32;
	}
	return base + offset + 4 * ((word & 15) - 1);
}

// Where the function begins, in an image with so many, that a place in it is in; 0: not found.
__attribute__((noinline)) u64 dotnet_image_function(u64 functions, u32 count, u64 place)
{
	u32 begin = 0, low = 0, high = count;
	for (int i = 0; i < DOTNET_FUNCTION_STEPS && low < high; i++) {
		u32 middle = low + (high - low) / 2, from;
		// RUNTIME_FUNCTION: { u32 begin; u32 end; u32 unwind }, on aarch64 without its end.
#if defined(__TARGET_ARCH_x86)
		if (!dotnet_half(functions + 12 * (u64)middle, &from))
#else
		if (!dotnet_half(functions + 8 * (u64)middle, &from))
#endif
			return 0;
		if (from <= place) {
			begin = from;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return begin;
}

inline_always int dotnet_find_in_image(struct dotnet_process *process, u64 section, u64 address, struct dotnet_place *place)
{
	u64 base, module, image, functions;
	u32 count;
	// The section begins where the image does.
	if (!dotnet_word(section, &base) || !dotnet_word(section + process->section_module, &module) ||
	    !dotnet_word(module + process->module_image, &image) || !image ||
	    !dotnet_word(image + process->image_whole, &image) || !image ||
	    !dotnet_word(image + process->image_functions, &functions) ||
	    !dotnet_half(image + process->image_count, &count))
		return DOTNET_UNREADABLE;
	u64 begin = dotnet_image_function(functions, count, address - base);
	if (!begin)
		return DOTNET_UNREADABLE;
	place->start = base + begin;
	place->check = check_of(module);
	return DOTNET_FOUND;
}

inline_always int dotnet_find(struct dotnet_process *process, u64 address, struct dotnet_place *place)
{
	u64 section = dotnet_section(process->sections, address), heap, base, nibbles, header, method;
	u32 flags;
	place->start = 0;
	place->check = 0;
	if (!section)
		return DOTNET_NOT_FOUND;
	if (!dotnet_half(section + process->section_flags, &flags))
		return DOTNET_UNREADABLE;
	if (flags & DOTNET_SECTION_STUBS)
		return DOTNET_FOUND;
	if (!(flags & DOTNET_SECTION_HEAP))
		return dotnet_find_in_image(process, section, address, place);
	if (!dotnet_word(section + process->section_heap, &heap) || !dotnet_word(heap + process->heap_base, &base) ||
	    !dotnet_word(heap + process->heap_nibbles, &nibbles))
		return DOTNET_UNREADABLE;
	u64 start = dotnet_beginning(base, nibbles, address);
	if (!start || !dotnet_word(start - 8, &header))
		return DOTNET_UNREADABLE;
	if (header <= DOTNET_LAST_STUB)
		return DOTNET_FOUND;
	if (!dotnet_word(header + process->header_method, &method))
		return DOTNET_UNREADABLE;
	place->check = check_of(header ^ method);
	place->start = start;
	return DOTNET_FOUND;
}

inline_always int dotnet_unreadable(struct walk *walk)
{
	count_runtime(UNWINDER_DOTNET, RUNTIME_UNREADABLE);
	return stop(walk, STOP_UNREADABLE);
}

inline_always int dotnet_move(struct walk *walk, u64 ip, u64 sp, u64 fp)
{
	// Callers lie above.
	if (sp <= walk->sp && !walk->lr_valid)
		return stop(walk, STOP_NO_PROGRESS);
	walk->by_pointer = 0;
	walk->lr_valid = 0;
	return move(walk, ip, sp, fp);
}

inline_always int dotnet_leave_by_pointer(struct walk *walk)
{
	u64 pair[2];
	if (walk->fp < walk->sp || walk->fp & 7) {
		count_runtime(UNWINDER_DOTNET, RUNTIME_UNREADABLE);
		return stop(walk, STOP_POINTER_LOST);
	}
	if (bpf_probe_read_user(pair, sizeof(pair), (void *)walk->fp))
		return dotnet_unreadable(walk);
	return dotnet_move(walk, pair[1], walk->fp + 16, pair[0]);
}

#if defined(__TARGET_ARCH_x86)

// Instructions at a function's beginning, and at its end, that are looked at: all pushes, and what comes behind.
#define DOTNET_INSTRUCTIONS 12
// A frame is no larger than this where no frame pointer is kept.
#define DOTNET_LARGEST_FRAME 0xffff
// How a function begins that goes on where another one of the same method had come to in a loop, and leaves that one's
// frame where it is (on-stack replacement): mov rax, [rbp]. The frame pointer is that of the other one until it is set.
#define DOTNET_REPLACES 0x00458b48u

// What a function has of a frame.
struct dotnet_frame {
	u64 above;    // where the return address is
	u8 is_framed; // the frame pointer is its own
	u8 replaces;
};

// push and pop have the number of their register in the lowest three bits, and a byte before it from r8 on.
inline_always u32 dotnet_push_size(u64 code, u8 push)
{
	return (code & 0xf8) == push ? 1 : (code & 0xf8ff) == ((u64)push << 8 | 0x41) ? 2 : 0;
}

// add and sub of a number, or of a byte, and the stack pointer (its number with that of the instruction).
inline_always u32 dotnet_sum_size(u64 code, u8 registers, u64 *number)
{
	u64 of_byte = (u64)registers << 16 | 0x8348, of_number = (u64)registers << 16 | 0x8148;
	*number = code >> 24 & 0xff;
	if ((code & 0xffffff) == of_byte)
		return 4;
	*number = code >> 24 & 0xffffffff;
	return (code & 0xffffff) == of_number ? 7 : 0;
}

// Of a function that has come from its beginning to an address. All numbers here are of the process, or added to such: what
// the verifier does not know it does not tell apart.
inline_always struct dotnet_frame dotnet_begun(u64 sp, u64 at, u64 end)
{
	struct dotnet_frame frame = { .above = sp };
	int has_pushed_fp = 0, is_begun = 1;
	u64 code, number;
	if (dotnet_word(at, &code) && (u32)code == DOTNET_REPLACES) {
		frame.replaces = 1;
		has_pushed_fp = 1;
		at += 4;
	}
	for (int i = 0; i < DOTNET_INSTRUCTIONS && at < end; i++) {
		if (!dotnet_word(at, &code))
			break;
		u32 size = dotnet_push_size(code, 0x50);
		if (size) {
			has_pushed_fp |= (u8)code == 0x55;
			frame.above += 8;
		} else {
			size = dotnet_sum_size(code, 0xec, &number);
			if (size)
				frame.above += number;
			// vzeroupper
			else if ((code & 0xffffff) == 0x77f8c5)
				size = 3;
		}
		if (!size) {
			is_begun = 0;
			break;
		}
		at += size;
	}
	frame.is_framed = has_pushed_fp && !is_begun;
	return frame;
}

// Where the return address is of a function that takes its frame down. 0: it does not.
inline_always u64 dotnet_ending(u64 sp, u64 at)
{
	u64 code, number;
	if (!dotnet_word(at, &code))
		return 0;
	u32 size = dotnet_sum_size(code, 0xc4, &number);
	int is_ending = size != 0;
	if (size)
		sp += number;
	at += size;
	for (int i = 0; i < DOTNET_INSTRUCTIONS; i++) {
		if (!dotnet_word(at, &code))
			return 0;
		size = dotnet_push_size(code, 0x58);
		if (!size)
			break;
		is_ending = 1;
		sp += 8;
		at += size;
	}
	// ret; or, behind another one of these, a jump to another function.
	int is_jump = (u8)code == 0xe9 || (code & 0x38ff) == 0x20ff || (code & 0x38ffff) == 0x20ff48;
	return (u8)code == 0xc3 || (is_ending && is_jump) ? sp : 0;
}

// `above` is where the return address is.
inline_always int dotnet_leave_at(struct walk *walk, u64 above)
{
	u64 ip;
	if (above - walk->sp > DOTNET_LARGEST_FRAME || !dotnet_word(above, &ip))
		return dotnet_unreadable(walk);
	return dotnet_move(walk, ip, above + 8, walk->fp);
}

// Leaves the function that begins at `start`.
inline_always int dotnet_leave(struct walk *walk, u64 start)
{
	struct dotnet_frame frame = dotnet_begun(walk->sp, start, walk->exact ? walk->ip : ~0ull);
	u64 above = walk->exact ? dotnet_ending(walk->sp, walk->ip) : 0;
	if (above) {
		// The frame pointer is popped last.
		if (frame.is_framed && above != walk->sp && !dotnet_word(above - 8, &walk->fp))
			return dotnet_unreadable(walk);
		return dotnet_leave_at(walk, above);
	}
	if (walk->runtime_places[UNWINDER_DOTNET]) {
		// The frame pointer is that of its caller already.
		walk->runtime_places[UNWINDER_DOTNET] = 0;
		return dotnet_leave_at(walk, frame.above);
	}
	walk->runtime_places[UNWINDER_DOTNET] = frame.replaces && frame.is_framed;
	// Where the pointer is another one's, that one has the same caller.
	return frame.is_framed || frame.replaces ? dotnet_leave_by_pointer(walk) : dotnet_leave_at(walk, frame.above);
}

// Of a stub, which has no frame: where it returns to.
inline_always int dotnet_leave_stub(struct walk *walk)
{
	return dotnet_leave_at(walk, walk->sp);
}

#else

// All functions save the frame pointer and the link register with their first instruction, and set the former with the
// next ones.
#define DOTNET_BEGINNING 12

inline_always int dotnet_leave(struct walk *walk, u64 start)
{
	if (walk->exact && walk->lr_valid && walk->ip - start < DOTNET_BEGINNING)
		return dotnet_move(walk, walk->lr, walk->sp, walk->fp);
	return dotnet_leave_by_pointer(walk);
}

inline_always int dotnet_leave_stub(struct walk *walk)
{
	return walk->lr_valid ? dotnet_move(walk, walk->lr, walk->sp, walk->fp) : dotnet_leave_by_pointer(walk);
}

#endif

// A function of its own, as `step` is.
__attribute__((noinline)) int dotnet_step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	if (walk->frames >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	u32 pid = walk->record.pid;
	struct dotnet_process *process = bpf_map_lookup_elem(&dotnet_processes, &pid);
	if (!process) {
		count_runtime(UNWINDER_DOTNET, RUNTIME_NO_PROCESS);
		return leave_runtime(walk);
	}
	if (is_first_visit(walk, UNWINDER_DOTNET)) {
		count_runtime(UNWINDER_DOTNET, RUNTIME_ENTERED);
		walk->runtime_places[UNWINDER_DOTNET] = 0;
	}
	u64 within = walk->exact ? walk->ip : walk->ip - 1;
	struct dotnet_place place;
	int found = dotnet_find(process, within, &place);
	if (found == DOTNET_FOUND && place.start) {
		// Below a function that goes on for it stands its first code: one frame for both.
		if (!walk->runtime_places[UNWINDER_DOTNET])
			push_runtime(walk, place.start, within - place.start, FRAME_DOTNET, place.check);
		return dotnet_leave(walk, place.start);
	}
	if (found == DOTNET_UNREADABLE)
		count_runtime(UNWINDER_DOTNET, RUNTIME_UNREADABLE);
	walk->runtime_places[UNWINDER_DOTNET] = 0;
	// What is no function, or in no section (the barriers of the collector), has no frame of its own, and calls nothing.
	if (!walk->exact)
		return leave_runtime(walk);
	push(walk, walk->ip, walk->file, FRAME_ANONYMOUS);
	return dotnet_leave_stub(walk);
}

UNWINDER_PROGRAMS(dotnet, UNWINDER_DOTNET, dotnet_step)
