// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Frames of PHP, of builds without threads. Those of its functions are one list, the innermost first; functions that are
// written in C have frames as well. Each call of the interpreter's loop from C, an entry, runs the functions up to one that
// is marked. Machine code that opcache made runs in the place of the loop, on its frame of the stack and for the same entry.
#pragma once

#include "unwinder.h"

// Where things are in a process; offsets unless said otherwise.
struct php_process {
	u64 current;	    // address of what names the innermost frame
	u64 text_start;	    // address of PHP's own machine code
	u64 text_end;
	u64 loop_place;	    // an address in the loop where its frame is whole; 0: no code that was made can be left
	u16 loop_return;    // there: from the stack pointer, or the frame pointer, to the return address
	u16 function_first; // of a function: its first instruction
	u16 function_count; // how many it has
	u16 function_file;
	u16 function_line;
	u16 loop_by_pointer; // it is from the frame pointer, which code that was made leaves as it is
	u32 pad;
};

// By pid: what user space has looked at and found to be as it should.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct php_process);
} php_processes SEC(".maps");

// Of all known versions (zend_compile.h), in words. A frame: opline, func, the upper half of This with the kind of call,
// prev_execute_data.
enum { PHP_FRAME_PLACE = 0, PHP_FRAME_FUNCTION = 3, PHP_FRAME_CALL = 5, PHP_FRAME_CALLER = 6, PHP_FRAME_WORDS = 7 };
// A function: its type in the lowest byte, function_name, scope.
enum { PHP_FUNCTION_TYPE = 0, PHP_FUNCTION_NAME = 1, PHP_FUNCTION_SCOPE = 2, PHP_FUNCTION_WORDS = 3 };
// ZEND_INTERNAL_FUNCTION
#define PHP_INTERNAL 1
// ZEND_CALL_CODE: of a file or a text, and no function. ZEND_CALL_TOP: called from C.
#define PHP_CODE (1u << 16)
#define PHP_ENTRY (1u << 17)
// zend_op: size, lineno
#define PHP_INSTRUCTION_SIZE 32
#define PHP_INSTRUCTION_LINE 24
// zend_string.h
#define PHP_TEXT_HASH 8

// Beside the line: it is what a file's code has that nothing of PHP has called.
#define PHP_OUTERMOST (1u << 31)
// On each call the stack pointer of the loop is aligned so. Code that was made has as many words on the stack at most.
#define PHP_STACK_ALIGNMENT 15
#define PHP_MADE_WORDS 64

inline_always int php_word(u64 address, u64 *word)
{
	return bpf_probe_read_user(word, sizeof(*word), (void *)address) == 0;
}

inline_always u64 php_innermost(struct php_process *process)
{
	u64 frame;
	if (!php_word(process->current, &frame)) {
		count_runtime(UNWINDER_PHP, RUNTIME_UNREADABLE);
		return 0;
	}
	// Between two scripts there is none.
	count_runtime(UNWINDER_PHP, frame ? RUNTIME_ENTERED : RUNTIME_NO_THREAD);
	return frame;
}

// The line of an instruction of a function; 0: it is none of its own.
inline_always u32 php_line(struct php_process *process, u64 function, u64 instruction)
{
	u64 first;
	u32 count, line = 0;
	if (!php_word(function + process->function_first, &first) ||
	    bpf_probe_read_user(&count, sizeof(count), (void *)(function + process->function_count)))
		return 0;
	u64 within = instruction - first;
	if (within % PHP_INSTRUCTION_SIZE || within / PHP_INSTRUCTION_SIZE >= count)
		return 0;
	bpf_probe_read_user(&line, sizeof(line), (void *)(instruction + PHP_INSTRUCTION_LINE));
	return line & ~PHP_OUTERMOST;
}

// Code of a file has no name.
inline_always u64 php_hash(u64 text)
{
	u64 hash = 0;
	if (text)
		php_word(text + PHP_TEXT_HASH, &hash);
	return hash;
}

inline_always void php_push_internal(struct walk *walk, u64 function, u64 *words)
{
	u16 check = check_of(php_hash(words[PHP_FUNCTION_NAME]) ^ words[PHP_FUNCTION_SCOPE]);
	push_runtime(walk, function, 0, FRAME_PHP, check);
}

// False: not all of it is readable.
inline_always int php_push_user(struct walk *walk, struct php_process *process, u64 function, u64 *words, u64 place,
				u32 call)
{
	u64 file, lines;
	if (!php_word(function + process->function_file, &file) || !php_word(function + process->function_line, &lines))
		return 0;
	u32 line = 0;
	// The loop has its place in a register, and writes it to the frame where it has to.
	if (walk->runtime_places[UNWINDER_PHP])
		line = php_line(process, function, walk->runtime_places[UNWINDER_PHP]);
	if (!line)
		line = php_line(process, function, place);
	if ((call & (PHP_CODE | PHP_ENTRY)) == (PHP_CODE | PHP_ENTRY))
		line |= PHP_OUTERMOST;
	u16 check = check_of(php_hash(words[PHP_FUNCTION_NAME]) ^ php_hash(file) << 1 ^ lines);
	push_runtime(walk, function, line, FRAME_PHP, check);
	return 1;
}

// How many words above the stack pointer that of the loop is, from 1 on: there the loop returns to PHP's own code. 0: it is
// not found. A function of its own, as `step` is.
__attribute__((noinline)) int php_loop_place(struct walk *walk, u64 start, u64 end, u64 to_return)
{
	u64 word;
	if (!walk)
		return 0;
	for (int i = 0; i < PHP_MADE_WORDS; i++) {
		u64 sp = walk->sp + 8 * i;
		if (sp & PHP_STACK_ALIGNMENT)
			continue;
		if (!php_word(sp + to_return, &word))
			return 0;
		if (word > start && word < end)
			return i + 1;
	}
	return 0;
}

// Whether the stack pointer was set to that of the loop, on whose frame stands what was made.
inline_always int php_find_loop(struct walk *walk, struct php_process *process)
{
	u64 word;
	if (!process->loop_place)
		return 0;
	if (process->loop_by_pointer)
		return php_word(walk->fp + process->loop_return, &word) && word > process->text_start &&
		       word < process->text_end;
	int place = php_loop_place(walk, process->text_start, process->text_end, process->loop_return);
	if (place)
		walk->sp += 8 * ((u64)(u32)place - 1);
	return place;
}

// To the loop's own frame, which comes next.
inline_always int php_leave(struct walk *walk, struct php_process *process, int is_made)
{
	if (is_made && php_find_loop(walk, process)) {
		walk->ip = process->loop_place;
		walk->exact = 1;
		walk->lr_valid = 0;
		walk->by_pointer = 0;
	}
	return leave_runtime(walk);
}

// A function of its own, as `step` is.
__attribute__((noinline)) int php_step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	if (walk->frames >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	u32 pid = walk->record.pid;
	struct php_process *process = bpf_map_lookup_elem(&php_processes, &pid);
	if (!process) {
		count_runtime(UNWINDER_PHP, RUNTIME_NO_PROCESS);
		return leave_runtime(walk);
	}
	u64 within = walk->exact ? walk->ip : walk->ip - 1;
	int is_made = within < process->text_start || within >= process->text_end;
	if (is_first_visit(walk, UNWINDER_PHP)) {
		walk->runtime_frames[UNWINDER_PHP] = php_innermost(process);
		// What was made uses the register for other things.
		walk->runtime_places[UNWINDER_PHP] = is_made ? 0 : walk->instruction;
	}
	u64 frame = walk->runtime_frames[UNWINDER_PHP], words[PHP_FRAME_WORDS], function[PHP_FUNCTION_WORDS];
	if (!frame)
		return php_leave(walk, process, is_made);
	if (bpf_probe_read_user(words, sizeof(words), (void *)frame)) {
		count_runtime(UNWINDER_PHP, RUNTIME_UNREADABLE);
		walk->runtime_frames[UNWINDER_PHP] = 0;
		return php_leave(walk, process, is_made);
	}
	walk->runtime_frames[UNWINDER_PHP] = words[PHP_FRAME_CALLER];
	walk->inside = 1;
	u64 address = words[PHP_FRAME_FUNCTION];
	u32 call = words[PHP_FRAME_CALL];
	// Of C that calls while PHP is not at a call.
	if (!address)
		return STEP_DONE;
	if (bpf_probe_read_user(function, sizeof(function), (void *)address)) {
		count_runtime(UNWINDER_PHP, RUNTIME_UNREADABLE);
		walk->runtime_frames[UNWINDER_PHP] = 0;
		return php_leave(walk, process, is_made);
	}
	// C that is called from C runs in no loop.
	if ((u8)function[PHP_FUNCTION_TYPE] == PHP_INTERNAL) {
		php_push_internal(walk, address, function);
		walk->runtime_places[UNWINDER_PHP] = 0;
		return STEP_DONE;
	}
	if (!php_push_user(walk, process, address, function, words[PHP_FRAME_PLACE], call)) {
		count_runtime(UNWINDER_PHP, RUNTIME_UNREADABLE);
		walk->runtime_frames[UNWINDER_PHP] = 0;
		return php_leave(walk, process, is_made);
	}
	walk->runtime_places[UNWINDER_PHP] = 0;
	return call & PHP_ENTRY ? php_leave(walk, process, is_made) : STEP_DONE;
}

UNWINDER_PROGRAMS(php, UNWINDER_PHP, php_step)
