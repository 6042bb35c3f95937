// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What the kernel's side and the loader (profiler-core/src/kernel/) both know: the two change together.
#pragma once

#include "kernel.h"

// A row of a file's unwind table: it holds from `pc` to the next row's. Lower half of a u64: the address in the file
// minus the table's base. Upper half: the rule, packed:
//   bits 0-3 kind of the CFA, 4-15 its offset / 8 (signed), 16-19 kind of the frame pointer, 20-31 its offset from the
//   CFA / 8 (signed). Of kind CFA_INDEX bits 4-31 are a place in `rules`; of kind CFA_PLT bits 4-15 are its constant.
//   The return address is at CFA - 8 on x86_64 and in the link register on aarch64.
enum {
	CFA_NONE = 0,	     // no code is known here
	CFA_SP = 1,	     // stack pointer + offset
	CFA_FP = 2,	     // frame pointer + offset
	CFA_PLT = 3,	     // an entry of a PLT: one push deeper from `offset` on within its 16 bytes
	CFA_UNSUPPORTED = 4, // an expression that is not understood
	CFA_END = 5,	     // the outermost frame: its return address is undefined
	CFA_INDEX = 6,	     // does not fit: see `rules`
	CFA_SIGNAL = 7,	     // a signal's trampoline: the registers lie at the stack pointer
	CFA_FP_CHAIN = 8,    // code that keeps frame pointers, without rows
	// In full rules alone, and `ra_offset` is added to what is read; the return address is below, as ever on x86_64.
	CFA_AT_SP = 9,	 // the word at stack pointer + offset
	CFA_AT_FP = 10,	 // the word at frame pointer + offset
	// What the goroutine has saved that the thread works for: stack pointer, behind it the instruction, and the frame
	// pointer. In `cfa_offset` it is how far from the thread pointer the thread's goroutine is, in the halves of
	// `fp_offset` where in a goroutine its thread is and in that the goroutine it works for, in those of `ra_offset` where
	// in a goroutine the stack pointer and the frame pointer are. The lower halves come first.
	CFA_GOROUTINE = 11,
};
// The last one, too, in full rules alone.
enum { FP_UNCHANGED = 0, FP_SAVED = 1, FP_AT_FP = 2 };
enum { RA_LINK_REGISTER = 0, RA_SAVED = 1 };

struct unwind_rule {
	u8 cfa_kind;
	u8 fp_kind;
	u8 ra_kind;
	u8 pad;
	s32 cfa_offset;
	s32 fp_offset;
	s32 ra_offset;
};

// Executable memory of a process. Those of one process lie side by side in `mappings`, in the order of addresses.
struct mapping {
	u64 start;
	u64 end;
	u64 bias;    // address in memory - address in the file
	u64 base;    // of the table
	u32 file;    // goes into the frames as it is
	u32 table;   // place in `tables`; 0: none
	u32 rows;    // of the table
	u16 unwinder; // place in `unwinders`
	u16 flags;
};
enum { MAPPING_ANONYMOUS = 1 };

struct process {
	u32 first; // place in `mappings`
	u32 count;
	u32 flags;
	u32 pad;
};
// Set by the kernel: user space was told that the mappings are not what it wrote.
enum { PROCESS_STALE = 1 };
// Set by user space: its goroutines have labels (go.h).
enum { PROCESS_GO = 2 };

// What travels through the ring buffer begins with its kind and a pid.
enum {
	RECORD_SAMPLE = 1,
	RECORD_BACK = 2, // a thread is on a CPU again, whose last sample was of ORIGIN_OFF_CPU
	RECORD_UNKNOWN = 16,
	RECORD_STALE = 17,
	RECORD_EXEC = 18,
	RECORD_EXIT = 19,
};

struct event {
	u32 kind;
	u32 pid;
	u32 tid;
	u32 pad;
	u64 value; // RECORD_BACK: nanoseconds away; RECORD_UNKNOWN: the cgroup for which it is sampled, or 0
};

// What a sample was taken for.
enum { ORIGIN_CPU = 0, ORIGIN_OFF_CPU = 1, ORIGIN_PROBE = 2, ORIGINS };

#define MAX_KERNEL_FRAMES 127
#define MAX_USER_FRAMES 512
// A power of two for the sake of masks: 127 words of kernel frames and two words for each frame of user space.
#define RECORD_WORDS 2048

struct sample {
	u32 kind;
	u32 pid;
	u32 tid;
	u16 kernel_frames;
	u16 user_frames;
	u32 stop;
	u16 origin;
	u16 label_bytes; // behind the frames: labels of what the thread works at
	u64 cgroup;
	u64 time;
	char comm[16];
	// Kernel frames, one word each: addresses. Then those of user space, two words each: address, file | kind << 32. Of a
	// runtime's frame: what stands for its function, place in it | kind << 32 | check << 48.
	u64 words[RECORD_WORDS];
};
// A label: the lengths of its key and its value, a byte each, and both. All together are less than LABEL_BYTES, a power of
// two for the sake of masks.
#define LABEL_HEAD 2
#define LABEL_BYTES 1024
// Behind them, never used: as much as the verifier of 6.1 thinks may be written there.
#define LABEL_SPARE 512
#define SAMPLE_HEADER (sizeof(struct sample) - sizeof(u64) * RECORD_WORDS)

// Kinds of user frames. The address is that in the file for FRAME_NATIVE, else that in memory. From 16 on they are of
// runtimes, and 16 + the number of a runtime's unwinder.
enum {
	FRAME_NATIVE = 0,
	FRAME_ANONYMOUS = 1,
	FRAME_UNMAPPED = 2,
	FRAME_PYTHON = 17,
	FRAME_HOTSPOT = 18,
	FRAME_V8 = 19,
	FRAME_RUBY = 20,
	FRAME_PERL = 21,
	FRAME_PHP = 22,
	FRAME_DOTNET = 23,
};
// The address is where a call returns to, not where the processor was: the call is the instruction before it.
#define FRAME_CALLER (1u << 8)
// Found by frame pointers.
#define FRAME_BY_POINTER (1u << 9)

// Why a walk ended.
enum {
	STOP_COMPLETE = 0,	  // the outermost frame
	STOP_KERNEL_THREAD = 1,	  // there is no user space
	STOP_NO_PROCESS = 2,	  // its mappings are not known yet
	STOP_NO_MAPPING = 3,	  // an address outside of all known mappings
	STOP_NO_INFORMATION = 4,  // no row for this address
	STOP_UNSUPPORTED = 5,	  // a rule that is not understood
	STOP_UNREADABLE = 6,	  // the stack is not in memory
	STOP_TOO_DEEP = 7,	  // more than MAX_USER_FRAMES
	STOP_POINTER_LOST = 8,	  // the frame pointer leads nowhere
	STOP_NO_PROGRESS = 9,	  // the stack pointer does not move
	STOP_COMPAT = 10,	  // code of 32 bits
	STOP_NO_TABLE = 11,	  // the file's table is gone
	STOP_NO_UNWINDER = 12,	  // the chain of programs ended early
	STOP_REASONS = 16,
};

// What became of looking for a runtime's frames in a stack. Where there are none the walk goes on through machine code.
enum {
	RUNTIME_ENTERED = 0,	  // the thread's frames were found
	RUNTIME_NO_PROCESS = 1,	  // nothing is known of the process
	RUNTIME_NO_THREAD = 2,	  // the runtime does not know the thread
	RUNTIME_OTHER_THREAD = 3, // what was found is of another thread, or nothing that the runtime made
	RUNTIME_UNREADABLE = 4,	  // a frame is not in memory
	RUNTIME_REASONS = 8,
};
#define RUNTIMES 8

// `counters`: after these come the reasons, COUNT_STOPS + STOP_*, and for each runtime COUNT_RUNTIMES + RUNTIME_REASONS *
// the number of its unwinder + RUNTIME_*.
enum {
	COUNT_SAMPLES = 0,   // handed over
	COUNT_LOST = 1,	     // the ring buffer was full
	COUNT_EVENTS_LOST = 2,
	COUNT_ANNOUNCED = 3, // unknown processes that user space was told of
	COUNT_STALE = 4,     // processes whose mappings were found to be old
	COUNT_COLLIDED = 5,  // probes that were hit while another one's stack was walked on the same CPU
	COUNT_LABELLED = 6,  // samples with all their labels
	COUNT_LABELS_CUT = 7, // those with labels that could not be read, or were too many
	COUNT_STOPS = 16,
	COUNT_RUNTIMES = COUNT_STOPS + STOP_REASONS,
	COUNTERS = COUNT_RUNTIMES + RUNTIME_REASONS * RUNTIMES,
};
