// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Samples what runs on each CPU, with its stack, and tells user space of processes that come and go.
#include "begin.h"
#include "dotnet.h"
#include "hotspot.h"
#include "off_cpu.h"
#include "perl.h"
#include "php.h"
#include "probe.h"
#include "python.h"
#include "ruby.h"
#include "v8.h"

char LICENSE[] SEC("license") = "GPL";

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	struct task_struct *task = bpf_get_current_task_btf();
	struct walk *walk = begin(task, ORIGIN_CPU);
	if (!walk)
		return 0;
	take_kernel_frames(ctx, walk, 0);
	if (walk->stop != STOP_KERNEL_THREAD && can_climb(walk, current_registers(walk, task, &ctx->regs))) {
		bpf_tail_call(ctx, &unwinders, UNWINDER_NATIVE);
		walk->stop = STOP_NO_UNWINDER;
	}
	hand_over(walk);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int executed(u64 *ctx)
{
	u32 pid = pid_of((struct task_struct *)ctx[0]);
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (!process) {
		reconsider(pid);
		return 0;
	}
	// The old program's mappings would mislead until user space has read the new one's, and it is not of Go until then.
	process->count = 0;
	process->flags = PROCESS_STALE;
	tell(RECORD_EXEC, pid, 0);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int exited(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	// Of the threads only the last one is the process' end.
	if (task->signal->live.counter)
		return 0;
	u32 pid = pid_of(task);
	if (!bpf_map_lookup_elem(&processes, &pid)) {
		reconsider(pid);
		return 0;
	}
	tell(RECORD_EXIT, pid, 0);
	return 0;
}
