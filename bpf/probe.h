// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Samples threads that come to a place in a program, or in the kernel.
#pragma once

#include "begin.h"

inline_always int at_probe(struct user_regs *ctx, int is_in_kernel)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct walk *walk = begin(task, ORIGIN_PROBE);
	if (!walk)
		return 0;
	// A program's place is left for the kernel by the probe itself, which tells nothing.
	if (is_in_kernel)
		take_kernel_frames(ctx, walk, 0);
	if (walk->stop != STOP_KERNEL_THREAD && can_climb(walk, current_registers(walk, task, ctx))) {
		bpf_tail_call(ctx, &unwinders_probe, UNWINDER_NATIVE);
		walk->stop = STOP_NO_UNWINDER;
	}
	hand_over(walk);
	return 0;
}

SEC("uprobe")
int probe(struct user_regs *ctx)
{
	return at_probe(ctx, 0);
}

SEC("uretprobe")
int probe_return(struct user_regs *ctx)
{
	return at_probe(ctx, 0);
}

SEC("kprobe")
int kernel_probe(struct user_regs *ctx)
{
	return at_probe(ctx, 1);
}

SEC("kretprobe")
int kernel_probe_return(struct user_regs *ctx)
{
	return at_probe(ctx, 1);
}
