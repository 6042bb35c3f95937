// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// A walk up the stack of a thread, from one program to the next: each CPU has one for each origin.
#pragma once

#include "maps.h"

// Where in a map of Go's labels are read.
struct go_place {
	u64 table;
	u64 behind; // the table behind that one, or 0
	u64 next;
	u64 used; // a byte for each place in the table
	u32 tables_left;
	u32 left; // labels
};

struct walk {
	u64 ip;
	u64 sp;
	u64 fp;
	u64 lr; // aarch64 alone
	u64 place; // where HotSpot's interpreter keeps its place, if that is where the processor was
	u64 instruction; // so does PHP's
	u32 first; // the process' mappings
	u32 count;
	u32 frames;
	u32 stop;
	u32 unwinder; // that the next frame asks for
	u8 declined;  // `unwinder` is not there, or does not know the frame
	u8 exact;     // `ip` is where the processor was, not where a call returns to
	u8 lr_valid;  // nothing was called since `lr` was set
	u8 by_pointer; // `ip` was found by a frame pointer: it may be wrong
	u8 switches;   // from one stack to a lower one
	u8 inside;     // a runtime's frames are being walked, which belong to the machine code at `ip`
	u8 runtimes;   // by unwinder, a bit each: its first frame was looked for
	u16 mapping_flags; // of the mapping at `ip`, where it names a runtime's unwinder
	u32 file;
	u64 bias;
	u64 runtime_frames[RUNTIMES]; // by unwinder: its next frame; 0: there are no more
	u64 runtime_stacks[RUNTIMES]; // where a runtime has several: which one that frame is on
	u64 runtime_places[RUNTIMES]; // where frames do not say it themselves: the place in that frame's function
	u64 goroutine; // aarch64 alone: what is in the register that Go keeps it in
	struct go_place go;
	u8 is_go;      // its goroutines may have labels
	u32 busy;      // from begin to end, where another one may come between
	struct sample record;
	u8 labels[LABEL_BYTES + LABEL_SPARE]; // `record.label_bytes` of them
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, ORIGINS);
	__type(key, u32);
	__type(value, struct walk);
} walks SEC(".maps");

// Set by the loader: from so many bytes on that wait in the ring buffer its reader is woken.
SETTING u64 wake_bytes = 0;

inline_always u64 wake_flag(void)
{
	// No interrupt for each sample: its reader comes by itself.
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) < wake_bytes ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP;
}

inline_always struct walk *this_walk(u32 origin)
{
	return bpf_map_lookup_elem(&walks, &origin);
}

inline_always void push(struct walk *walk, u64 address, u32 file, u32 kind)
{
	u32 place = walk->record.kernel_frames + 2 * walk->frames;
	if (!walk->exact)
		kind |= FRAME_CALLER;
	if (walk->by_pointer)
		kind |= FRAME_BY_POINTER;
	walk->record.words[place & (RECORD_WORDS - 1)] = address;
	walk->record.words[(place + 1) & (RECORD_WORDS - 1)] = file | (u64)kind << 32;
	walk->frames++;
}

// Of what user space can see of a function as well, and that is another one's when this one is gone; 0 is left for what could
// not be read.
inline_always u16 check_of(u64 bits)
{
	bits ^= bits >> 32;
	bits ^= bits >> 16;
	return (u16)bits ? (u16)bits : 1;
}

// A frame of a runtime: the function by whatever stands for it in memory, a place in it, and bits by which user space tells
// that another function stands there by now.
inline_always void push_runtime(struct walk *walk, u64 function, u32 place, u32 kind, u16 check)
{
	u32 at = walk->record.kernel_frames + 2 * walk->frames;
	walk->record.words[at & (RECORD_WORDS - 1)] = function;
	walk->record.words[(at + 1) & (RECORD_WORDS - 1)] = place | (u64)kind << 32 | (u64)check << 48;
	walk->frames++;
}

// False: it was lost.
inline_always int hand_over(struct walk *walk)
{
	u64 size = SAMPLE_HEADER + 8 * (walk->record.kernel_frames + 2 * walk->frames);
	walk->record.user_frames = walk->frames;
	// The masks are for the verifier: what may be written is less.
	u32 labels = walk->record.label_bytes & (LABEL_BYTES - 1);
	if (labels) {
		u32 end = walk->record.kernel_frames + 2 * walk->frames;
		bpf_probe_read_kernel(&walk->record.words[end & (RECORD_WORDS - 1)], labels, walk->labels);
		size += labels;
	}
	walk->record.stop = walk->stop;
	count(COUNT_STOPS + (walk->stop & (STOP_REASONS - 1)));
	long lost = bpf_ringbuf_output(&events, &walk->record, size & 0x3fff, wake_flag());
	count(lost ? COUNT_LOST : COUNT_SAMPLES);
	walk->busy = 0;
	return !lost;
}
