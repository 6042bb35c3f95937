// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Samples threads that leave a CPU, and says how long they were away when they are back.
#pragma once

#include "begin.h"

// Set by the loader: of so many of 2^32 switches.
SETTING u64 off_cpu_threshold = 0;

inline_always void left(struct walk *walk)
{
	if (!hand_over(walk))
		return;
	u64 *since = bpf_task_storage_get(&away, bpf_get_current_task_btf(), NULL, BPF_LOCAL_STORAGE_GET_F_CREATE);
	if (since)
		*since = walk->record.time;
}

inline_always void came_back(struct task_struct *task)
{
	u64 *since = bpf_task_storage_get(&away, task, NULL, 0);
	if (!since || !*since)
		return;
	struct event event = { .kind = RECORD_BACK, .pid = pid_of(task), .tid = tid_of(task) };
	event.value = bpf_ktime_get_ns() - *since;
	*since = 0;
	if (bpf_ringbuf_output(&events, &event, sizeof(event), wake_flag()))
		count(COUNT_EVENTS_LOST);
}

SEC("tp_btf/sched_switch")
int switched(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[1];
	came_back((void *)ctx[2]);
	// One that ends does not come back.
	if (task->flags & PF_EXITING || bpf_get_prandom_u32() >= off_cpu_threshold)
		return 0;
	struct walk *walk = begin(task, ORIGIN_OFF_CPU);
	if (!walk)
		return 0;
	// This program, and what calls it.
	take_kernel_frames(ctx, walk, 2);
	if (walk->stop != STOP_KERNEL_THREAD && can_climb(walk, saved_registers(walk, task))) {
		bpf_tail_call(ctx, &unwinders_off_cpu, UNWINDER_NATIVE);
		walk->stop = STOP_NO_UNWINDER;
	}
	left(walk);
	return 0;
}
