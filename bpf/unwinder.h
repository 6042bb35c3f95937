// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What unwinders have in common. Each is three programs, one for each origin of samples, and that of a runtime a step of
// its own, which is taken where `step` came to machine code whose mapping names the unwinder.
#pragma once

#include "begin.h"
#include "off_cpu.h"

// Nothing (more) of the runtime belongs to the machine code at `ip`, which comes next as such.
inline_always int leave_runtime(struct walk *walk)
{
	walk->inside = 0;
	walk->declined = 1;
	return STEP_DONE;
}

// True once a walk, where the runtime's first frame has to be looked for.
inline_always int is_first_visit(struct walk *walk, u32 unwinder)
{
	u8 bit = 1 << unwinder;
	int is_first = !(walk->runtimes & bit);
	walk->runtimes |= bit;
	return is_first;
}

#define UNWINDER_PROGRAMS(name, unwinder, its_step)								\
	SEC("perf_event")											\
	int name(struct bpf_perf_event_data *ctx)								\
	{													\
		struct walk *walk = this_walk(ORIGIN_CPU);							\
		if (!walk)											\
			return 0;										\
		climb(ctx, &unwinders, walk, unwinder, its_step);						\
		hand_over(walk);										\
		return 0;											\
	}													\
	SEC("tp_btf/sched_switch")										\
	int name##_off_cpu(u64 *ctx)										\
	{													\
		struct walk *walk = this_walk(ORIGIN_OFF_CPU);							\
		if (!walk)											\
			return 0;										\
		climb(ctx, &unwinders_off_cpu, walk, unwinder, its_step);					\
		left(walk);											\
		return 0;											\
	}													\
	SEC("kprobe")												\
	int name##_probe(struct user_regs *ctx)									\
	{													\
		struct walk *walk = this_walk(ORIGIN_PROBE);							\
		if (!walk)											\
			return 0;										\
		climb(ctx, &unwinders_probe, walk, unwinder, its_step);						\
		hand_over(walk);										\
		return 0;											\
	}

UNWINDER_PROGRAMS(native, UNWINDER_NATIVE, NULL)
