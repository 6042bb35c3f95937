// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// How a sample begins and goes on, whatever it is taken for.
#pragma once

#include "go.h"
#include "native.h"
#include "registers.h"
#include "scope.h"

// Set by the loader.
SETTING u32 kernel_frames = 1;

// 16 programs of 32 steps reach MAX_USER_FRAMES; the kernel allows 33, the others are for steps that bring no frame and
// for ways from one runtime to another.
#define STEPS_A_PROGRAM 32

// NULL: the current task is not sampled.
inline_always struct walk *begin(struct task_struct *task, u32 origin)
{
	u32 pid = pid_of(task);
	if (!pid)
		return NULL;
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	u64 cgroup;
	if (!is_sampled(task, pid, process, &cgroup))
		return NULL;
	struct walk *walk = this_walk(origin);
	if (!walk)
		return NULL;
	// A probe's program may be displaced by another thread, which hits one as well.
	if (origin == ORIGIN_PROBE && __sync_lock_test_and_set(&walk->busy, 1)) {
		count(COUNT_COLLIDED);
		return NULL;
	}
	walk->frames = 0;
	walk->stop = process ? STOP_COMPLETE : STOP_NO_PROCESS;
	walk->declined = 0;
	walk->exact = 1;
	walk->by_pointer = 0;
	walk->switches = 0;
	walk->inside = 0;
	walk->runtimes = 0;
	walk->is_go = process && process->flags & PROCESS_GO;
	walk->first = process ? process->first : 0;
	walk->count = process ? process->count : 0;
	walk->record.kind = RECORD_SAMPLE;
	walk->record.pid = pid;
	walk->record.tid = tid_of(task);
	walk->record.kernel_frames = 0;
	walk->record.origin = origin;
	walk->record.label_bytes = 0;
	walk->record.cgroup = bpf_get_current_cgroup_id();
	walk->record.time = bpf_ktime_get_ns();
	bpf_get_current_comm(walk->record.comm, sizeof(walk->record.comm));
	if (task->flags & PF_KTHREAD)
		walk->stop = STOP_KERNEL_THREAD;
	else if (!process)
		announce(pid, cgroup);
	return walk;
}

// The kernel's stack, without so many of its innermost frames.
inline_always void take_kernel_frames(void *ctx, struct walk *walk, u32 skip)
{
	// Negative where the processor was not in the kernel.
	long bytes = kernel_frames ? bpf_get_stack(ctx, walk->record.words, MAX_KERNEL_FRAMES * 8, skip) : 0;
	walk->record.kernel_frames = bytes > 0 ? bytes / 8 : 0;
}

// With its registers taken: whether there is something to walk. Else the sample is ready to be handed over.
inline_always int can_climb(struct walk *walk, int is_64_bits)
{
	if (!is_64_bits)
		walk->stop = STOP_COMPAT;
	if (walk->stop == STOP_COMPLETE) {
		if (go_labels && walk->is_go)
			go_take_labels(walk);
		return 1;
	}
	push(walk, walk->ip, 0, FRAME_UNMAPPED);
	return 0;
}

// Mappings that changed show as an address outside of them.
inline_always void tell_stale(u32 pid)
{
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (!process || process->flags & PROCESS_STALE)
		return;
	process->flags |= PROCESS_STALE;
	count(COUNT_STALE);
	tell(RECORD_STALE, pid, 0);
}

// Some steps; does not return where others follow. Then the sample is ready to be handed over. `own` is the unwinder of the
// program that runs, and `own_step` goes up one frame of its runtime.
inline_always void climb(void *ctx, void *unwinders_of_origin, struct walk *walk, u32 own,
			 int (*own_step)(struct walk *walk))
{
	int result = STEP_DONE;
	for (int i = 0; i < STEPS_A_PROGRAM; i++) {
		result = walk->inside ? STEP_OTHER : step(walk);
		if (result == STEP_OTHER && own_step && walk->unwinder == own) {
			result = own_step(walk);
		} else if (result == STEP_OTHER) {
			bpf_tail_call(ctx, unwinders_of_origin, walk->unwinder);
			// Not loaded: its frames are shown as the machine code they are.
			walk->declined = 1;
			walk->inside = 0;
		}
		if (result == STEP_STOP)
			break;
	}
	if (result != STEP_STOP) {
		bpf_tail_call(ctx, unwinders_of_origin, own);
		walk->stop = STOP_NO_UNWINDER;
	}
	if (walk->stop == STOP_NO_MAPPING)
		tell_stale(walk->record.pid);
}
