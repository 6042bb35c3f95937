// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// One step up the stack through machine code.
#pragma once

#include "goroutine.h"

enum { STEP_DONE = 0, STEP_STOP = 1, STEP_OTHER = 2 };

// Searches of 2^12 mappings and 2^24 rows.
#define MAPPING_STEPS 13
#define ROW_STEPS 25
// From one stack to a lower one by frame pointers, or to a goroutine's.
#define STACK_SWITCHES 4

inline_always int stop(struct walk *walk, u32 reason)
{
	walk->stop = reason;
	return STEP_STOP;
}

inline_always s32 signed12(u32 bits)
{
	return (s32)(bits << 20) >> 20;
}

inline_always struct mapping *mapping_at(struct walk *walk, u64 address)
{
	u32 low = walk->first, high = walk->first + walk->count;
	struct mapping *mapping;
	for (int i = 0; i < MAPPING_STEPS && low < high; i++) {
		u32 middle = (low + high) / 2;
		mapping = bpf_map_lookup_elem(&mappings, &middle);
		if (!mapping)
			return NULL;
		if (mapping->end <= address)
			low = middle + 1;
		else if (mapping->start > address)
			high = middle;
		else
			return mapping;
	}
	return NULL;
}

// The rule of the last row whose pc is at most `pc`; 0, which is CFA_NONE, where there is none.
inline_always u32 rule_at(void *table, u32 rows, u32 pc)
{
	u32 low = 0, high = rows, rule = 0;
	for (int i = 0; i < ROW_STEPS && low < high; i++) {
		u32 middle = (low + high) / 2;
		u64 *row = bpf_map_lookup_elem(table, &middle);
		if (!row)
			return 0;
		u64 value = *row;
		if ((u32)value <= pc) {
			rule = value >> 32;
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return rule;
}

inline_always u64 code_address(u64 address)
{
#if defined(__TARGET_ARCH_arm64)
	// Above the 48 bits of an address lies the signature of pointer authentication.
	return address & 0x0000ffffffffffffull;
#else
	return address;
#endif
}

inline_always int move(struct walk *walk, u64 ip, u64 sp, u64 fp)
{
	ip = code_address(ip);
	if (!ip)
		return stop(walk, STOP_COMPLETE);
	walk->ip = ip;
	walk->sp = sp;
	walk->fp = fp;
	walk->exact = 0;
	return STEP_DONE;
}

// Both architectures keep the caller's frame pointer and the return address side by side.
inline_always int step_by_pointer(struct walk *walk, int may_switch)
{
	u64 pair[2];
	if (!walk->fp)
		return stop(walk, STOP_COMPLETE);
	// Callers lie above, but on another stack. Not without end: the pointer may be anything.
	if (walk->fp < walk->sp && (!may_switch || walk->switches++ >= STACK_SWITCHES))
		return stop(walk, STOP_POINTER_LOST);
	if (walk->fp & 7)
		return stop(walk, STOP_POINTER_LOST);
	if (bpf_probe_read_user(pair, sizeof(pair), (void *)walk->fp))
		return stop(walk, STOP_UNREADABLE);
	walk->by_pointer = 1;
	walk->lr_valid = 0;
	return move(walk, pair[1], walk->fp + 16, pair[0]);
}

// What the kernel saved when it called a signal's handler. The frame above is where the signal came.
inline_always int step_over_signal(struct walk *walk)
{
#if defined(__TARGET_ARCH_x86)
	// At the stack pointer: struct ucontext; its registers begin at 40 with r8.
	u64 fp, spip[2];
	if (bpf_probe_read_user(&fp, sizeof(fp), (void *)(walk->sp + 120)) ||
	    bpf_probe_read_user(spip, sizeof(spip), (void *)(walk->sp + 160)))
		return stop(walk, STOP_UNREADABLE);
#else
	// At the stack pointer: struct rt_sigframe; siginfo has 128 bytes, regs[0] of its ucontext lies at 184.
	u64 fp, lr, spip[2];
	if (bpf_probe_read_user(&fp, sizeof(fp), (void *)(walk->sp + 128 + 184 + 29 * 8)) ||
	    bpf_probe_read_user(&lr, sizeof(lr), (void *)(walk->sp + 128 + 184 + 30 * 8)) ||
	    bpf_probe_read_user(spip, sizeof(spip), (void *)(walk->sp + 128 + 184 + 31 * 8)))
		return stop(walk, STOP_UNREADABLE);
	walk->lr = lr;
	walk->lr_valid = 1;
#endif
	int result = move(walk, spip[1], spip[0], fp);
	walk->exact = 1;
	return result;
}

// Go's runtime does on the thread's stack what a goroutine has come to: its caller is where that was left.
inline_always int step_to_goroutine(struct walk *walk, struct unwind_rule *rule)
{
	u32 places = rule->fp_offset, saved = rule->ra_offset;
	u64 stack[2], spip[2], fp;
	u64 routine = goroutine_of(walk, rule->cfa_offset, places, places >> 16);
	// The thread has left it to look for another one.
	if (!routine)
		return stop(walk, STOP_COMPLETE);
	if (walk->switches++ >= STACK_SWITCHES)
		return stop(walk, STOP_POINTER_LOST);
	// A goroutine begins with the bounds of its stack.
	if (!go_read(stack, sizeof(stack), routine) || !go_read(spip, sizeof(spip), routine + (u16)saved) ||
	    !go_read(&fp, sizeof(fp), routine + (saved >> 16)))
		return stop(walk, STOP_UNREADABLE);
	// While its stack is copied to another one its frames are on neither.
	if (spip[0] < stack[0] || spip[0] >= stack[1] || (fp && (fp < stack[0] || fp >= stack[1])))
		return stop(walk, STOP_COMPLETE);
	walk->by_pointer = 0;
	walk->lr_valid = 0;
	int result = move(walk, spip[1], spip[0], fp);
	// Go until 1.20 names the first instruction of a function that stands for the one that was called.
	walk->exact = 1;
	return result;
}

inline_always int step_by_rule(struct walk *walk, struct unwind_rule *rule)
{
	u64 cfa, ip, fp = walk->fp;
	s64 ra_offset = rule->ra_offset;
	switch (rule->cfa_kind) {
	case CFA_SP:
		cfa = walk->sp + (s64)rule->cfa_offset;
		break;
	case CFA_FP:
		cfa = walk->fp + (s64)rule->cfa_offset;
		break;
	case CFA_PLT:
		cfa = walk->sp + 8 + ((walk->ip & 15) >= (u64)rule->cfa_offset ? 8 : 0);
		break;
	case CFA_AT_SP:
	case CFA_AT_FP:
		cfa = (rule->cfa_kind == CFA_AT_SP ? walk->sp : walk->fp) + (s64)rule->cfa_offset;
		if (bpf_probe_read_user(&cfa, sizeof(cfa), (void *)cfa))
			return stop(walk, STOP_UNREADABLE);
		cfa += ra_offset;
		ra_offset = -8;
		break;
	case CFA_END:
		return stop(walk, STOP_COMPLETE);
	case CFA_NONE:
		return stop(walk, STOP_NO_INFORMATION);
	case CFA_SIGNAL:
		return step_over_signal(walk);
	case CFA_FP_CHAIN:
		// Go's runtime goes from a goroutine's stack to the thread's and back.
		return step_by_pointer(walk, 1);
	case CFA_GOROUTINE:
		return step_to_goroutine(walk, rule);
	default:
		return stop(walk, STOP_UNSUPPORTED);
	}
	if (rule->ra_kind == RA_LINK_REGISTER) {
		if (!walk->lr_valid)
			return stop(walk, STOP_NO_INFORMATION);
		ip = walk->lr;
	} else if (bpf_probe_read_user(&ip, sizeof(ip), (void *)(cfa + ra_offset))) {
		return stop(walk, STOP_UNREADABLE);
	}
	if (rule->fp_kind != FP_UNCHANGED) {
		u64 at = (rule->fp_kind == FP_AT_FP ? walk->fp : cfa) + (s64)rule->fp_offset;
		if (bpf_probe_read_user(&fp, sizeof(fp), (void *)at))
			return stop(walk, STOP_UNREADABLE);
	}
	// Only a leaf on aarch64 has no stack of its own, and there is one at most.
	if (cfa < walk->sp || (cfa == walk->sp && !walk->lr_valid))
		return stop(walk, STOP_NO_PROGRESS);
	walk->by_pointer = 0;
	walk->lr_valid = 0;
	return move(walk, ip, cfa, fp);
}

// A function of its own, which the verifier checks once: inlined, two steps are more than it takes.
__attribute__((noinline)) int step(struct walk *walk)
{
	if (!walk)
		return STEP_STOP;
	if (walk->frames >= MAX_USER_FRAMES)
		return stop(walk, STOP_TOO_DEEP);
	// A call may be a function's last instruction: what it returns to is then another function.
	u64 within = walk->exact ? walk->ip : walk->ip - 1;
	struct mapping *mapping = mapping_at(walk, within);
	if (!mapping) {
		// What a frame pointer led to and is no code was no return address.
		if (walk->by_pointer)
			return stop(walk, STOP_POINTER_LOST);
		push(walk, walk->ip, 0, FRAME_UNMAPPED);
		return stop(walk, STOP_NO_MAPPING);
	}
	if (mapping->unwinder != UNWINDER_NATIVE && !walk->declined) {
		walk->unwinder = mapping->unwinder;
		walk->mapping_flags = mapping->flags;
		walk->file = mapping->file;
		walk->bias = mapping->bias;
		return STEP_OTHER;
	}
	walk->declined = 0;
	if (mapping->flags & MAPPING_ANONYMOUS) {
		push(walk, walk->ip, mapping->file, FRAME_ANONYMOUS);
		return step_by_pointer(walk, 0);
	}
	push(walk, walk->ip - mapping->bias, mapping->file, FRAME_NATIVE);
	if (!mapping->table)
		return step_by_pointer(walk, 0);
	u32 number = mapping->table;
	void *table = bpf_map_lookup_elem(&tables, &number);
	if (!table)
		return stop(walk, STOP_NO_TABLE);
	u64 pc = within - mapping->bias - mapping->base;
	if (pc >> 32)
		return stop(walk, STOP_NO_INFORMATION);
	u32 packed = rule_at(table, mapping->rows, pc);
	struct unwind_rule rule = {};
	if ((packed & 15) == CFA_INDEX) {
		u32 index = packed >> 4;
		struct unwind_rule *full = bpf_map_lookup_elem(&rules, &index);
		if (!full)
			return stop(walk, STOP_UNSUPPORTED);
		rule = *full;
	} else {
		rule.cfa_kind = packed & 15;
		rule.cfa_offset = signed12(packed >> 4) * (rule.cfa_kind == CFA_PLT ? 1 : 8);
		rule.fp_kind = packed >> 16 & 15;
		rule.fp_offset = signed12(packed >> 20) * 8;
#if defined(__TARGET_ARCH_x86)
		rule.ra_kind = RA_SAVED;
		rule.ra_offset = -8;
#else
		rule.ra_kind = RA_LINK_REGISTER;
#endif
	}
	return step_by_rule(walk, &rule);
}
