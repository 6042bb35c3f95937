// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Samples what runs on each CPU, with its stack, and tells user space of processes that come and go.
#include "native.h"

char LICENSE[] SEC("license") = "GPL";

// Set by the loader.
enum {
	SCOPE_LISTED = 0, // what is in `processes`
	SCOPE_ALL = 1,	  // the others too, which are announced
	SCOPE_CHOSEN = 2, // so are these, but neither threads of the kernel nor what is in `declined`
};
volatile const u32 scope = SCOPE_LISTED;
volatile const u32 kernel_frames = 1;

// An unknown process is announced again after so many nanoseconds.
#define ANNOUNCE_AGAIN 1000000000ull
// 16 programs of 32 steps reach MAX_USER_FRAMES; the kernel allows 33, the others are for those that interpreters take.
#define STEPS_A_PROGRAM 32

inline_always void announce(u32 pid)
{
	u64 now = bpf_ktime_get_ns();
	u64 *before = bpf_map_lookup_elem(&announced, &pid);
	if (before && now - *before < ANNOUNCE_AGAIN)
		return;
	bpf_map_update_elem(&announced, &pid, &now, BPF_ANY);
	count(COUNT_ANNOUNCED);
	tell(RECORD_UNKNOWN, pid);
}

// Whether a process that is not in `processes` is sampled.
inline_always int is_wanted(struct task_struct *task, u32 pid)
{
	if (scope == SCOPE_CHOSEN)
		return !(task->flags & PF_KTHREAD) && !bpf_map_lookup_elem(&declined, &pid);
	return scope == SCOPE_ALL;
}

// What is known of a process that is not in `processes` no longer holds.
inline_always void reconsider(u32 pid)
{
	bpf_map_delete_elem(&declined, &pid);
	bpf_map_delete_elem(&announced, &pid);
}

#if defined(__TARGET_ARCH_x86)
// The code segment of 64 bits, and the bits of it that say who ran.
#define USER_CS 0x33
inline_always int is_user(u64 cs)
{
	return (cs & 3) == 3;
}
#endif

// The registers with which user space was left. False: it is code of 32 bits.
inline_always int read_registers(struct bpf_perf_event_data *ctx, struct task_struct *task, struct walk *walk)
{
#if defined(__TARGET_ARCH_x86)
	u64 cs = ctx->regs.cs;
	if (is_user(cs)) {
		walk->ip = ctx->regs.ip;
		walk->sp = ctx->regs.sp;
		walk->fp = ctx->regs.bp;
	} else {
		// Read as memory: clang would merge a direct read with that of ctx, which the verifier refuses.
		struct user_regs regs = {};
		bpf_probe_read_kernel(&regs, sizeof(regs), (void *)bpf_task_pt_regs(task));
		cs = regs.cs;
		walk->ip = regs.ip;
		walk->sp = regs.sp;
		walk->fp = regs.bp;
	}
	walk->lr_valid = 0;
	return cs == USER_CS;
#else
	u64 state = ctx->regs.pstate;
	if ((state & 15) == 0) {
		walk->ip = ctx->regs.pc;
		walk->sp = ctx->regs.sp;
		walk->fp = ctx->regs.regs[29];
		walk->lr = ctx->regs.regs[30];
	} else {
		struct user_regs regs = {};
		bpf_probe_read_kernel(&regs, sizeof(regs), (void *)bpf_task_pt_regs(task));
		state = regs.pstate;
		walk->ip = regs.pc;
		walk->sp = regs.sp;
		walk->fp = regs.regs[29];
		walk->lr = regs.regs[30];
	}
	walk->lr_valid = 1;
	// PSR_MODE32_BIT
	return !(state & 16);
#endif
}

SEC("perf_event")
int sample(struct bpf_perf_event_data *ctx)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 pid = id >> 32;
	if (!pid)
		return 0;
	struct task_struct *task = bpf_get_current_task_btf();
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (!process && !is_wanted(task, pid))
		return 0;
	struct walk *walk = this_walk();
	if (!walk)
		return 0;
	walk->frames = 0;
	walk->stop = STOP_COMPLETE;
	walk->declined = 0;
	walk->exact = 1;
	walk->by_pointer = 0;
	walk->first = process ? process->first : 0;
	walk->count = process ? process->count : 0;
	walk->record.kind = RECORD_SAMPLE;
	walk->record.pid = pid;
	walk->record.tid = id;
	walk->record.cgroup = bpf_get_current_cgroup_id();
	walk->record.time = bpf_ktime_get_ns();
	bpf_get_current_comm(walk->record.comm, sizeof(walk->record.comm));
	// Negative where the processor was not in the kernel.
	long bytes = kernel_frames ? bpf_get_stack(ctx, walk->record.words, MAX_KERNEL_FRAMES * 8, 0) : 0;
	walk->record.kernel_frames = bytes > 0 ? bytes / 8 : 0;

	if (task->flags & PF_KTHREAD) {
		walk->stop = STOP_KERNEL_THREAD;
		return hand_over(walk);
	}
	if (!process)
		announce(pid);
	int known = read_registers(ctx, task, walk);
	if (!known || !process) {
		walk->stop = known ? STOP_NO_PROCESS : STOP_COMPAT;
		push(walk, walk->ip, 0, FRAME_UNMAPPED);
		return hand_over(walk);
	}
	bpf_tail_call(ctx, &unwinders, UNWINDER_NATIVE);
	walk->stop = STOP_NO_UNWINDER;
	return hand_over(walk);
}

// Mappings that changed show as an address outside of them.
inline_always void tell_stale(u32 pid)
{
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (!process || process->flags & PROCESS_STALE)
		return;
	process->flags |= PROCESS_STALE;
	count(COUNT_STALE);
	tell(RECORD_STALE, pid);
}

SEC("perf_event")
int native(struct bpf_perf_event_data *ctx)
{
	struct walk *walk = this_walk();
	if (!walk)
		return 0;
	int result = STEP_DONE;
	for (int i = 0; i < STEPS_A_PROGRAM; i++) {
		result = step(walk);
		if (result == STEP_OTHER) {
			bpf_tail_call(ctx, &unwinders, walk->unwinder);
			// Not loaded: its frames are shown as the machine code they are.
			walk->declined = 1;
		} else if (result != STEP_DONE) {
			break;
		}
	}
	if (result != STEP_STOP) {
		bpf_tail_call(ctx, &unwinders, UNWINDER_NATIVE);
		walk->stop = STOP_NO_UNWINDER;
	}
	if (walk->stop == STOP_NO_MAPPING)
		tell_stale(walk->record.pid);
	return hand_over(walk);
}

SEC("tp_btf/sched_process_exec")
int executed(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	u32 pid = task->tgid;
	struct process *process = bpf_map_lookup_elem(&processes, &pid);
	if (!process) {
		reconsider(pid);
		return 0;
	}
	// The old program's mappings would mislead until user space has read the new one's.
	process->count = 0;
	process->flags |= PROCESS_STALE;
	tell(RECORD_EXEC, pid);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int exited(u64 *ctx)
{
	struct task_struct *task = (void *)ctx[0];
	u32 pid = task->tgid;
	// Of the threads only the last one is the process' end.
	if (task->signal->live.counter)
		return 0;
	if (!bpf_map_lookup_elem(&processes, &pid)) {
		reconsider(pid);
		return 0;
	}
	tell(RECORD_EXIT, pid);
	return 0;
}
