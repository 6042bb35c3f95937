// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Which processes are sampled, and by which numbers user space knows them.
#pragma once

#include "maps.h"

// Set by the loader.
enum {
	SCOPE_LISTED = 0,  // what is in `processes`
	SCOPE_ALL = 1,	   // the others too, which are announced
	SCOPE_CHOSEN = 2,  // so are these, but neither threads of the kernel nor what is in `declined`
	SCOPE_CGROUPS = 3, // what runs in `cgroups`, announced as well
};
SETTING u32 scope = SCOPE_LISTED;
// The number of the pid namespace whose pids user space sees; 0: the initial one.
SETTING u32 pid_namespace = 0;

// An unknown process is announced again after so many nanoseconds.
#define ANNOUNCE_AGAIN 1000000000ull
// MAX_PID_NS_LEVEL, and the initial one.
#define PID_LEVELS 33
// Folders from the root of cgroups on.
#define CGROUP_LEVELS 16

// 0: not visible in the namespace.
inline_always u32 visible(struct pid *pid)
{
	if (!pid)
		return 0;
	// Most often it is in the very namespace.
	int level = pid->level;
	struct upid *numbers = __builtin_preserve_access_index(&pid->numbers[0]);
	for (int i = 0; i < PID_LEVELS && level >= 0; i++, level--) {
		struct upid number;
		u32 inum;
		if (bpf_probe_read_kernel(&number, sizeof(number), (void *)numbers + level * sizeof(number)) ||
		    bpf_probe_read_kernel(&inum, sizeof(inum), __builtin_preserve_access_index(&number.ns->ns.inum)))
			return 0;
		if (inum == pid_namespace)
			return number.nr;
	}
	return 0;
}

// The process' number; 0 for an idle CPU.
inline_always u32 pid_of(struct task_struct *task)
{
	return pid_namespace ? visible(task->group_leader->thread_pid) : (u32)task->tgid;
}

inline_always u32 tid_of(struct task_struct *task)
{
	return pid_namespace ? visible(task->thread_pid) : (u32)task->pid;
}

// The cgroup in `cgroups` that the current process runs in or below; 0: none.
inline_always u64 listed_cgroup(void)
{
	u64 id = bpf_get_current_cgroup_id();
	if (bpf_map_lookup_elem(&cgroups, &id))
		return id;
	for (int level = 1; level < CGROUP_LEVELS; level++) {
		id = bpf_get_current_ancestor_cgroup_id(level);
		if (!id)
			return 0;
		if (bpf_map_lookup_elem(&cgroups, &id))
			return id;
	}
	return 0;
}

// Whether the current process is sampled, which may be in `processes` or not.
inline_always int is_sampled(struct task_struct *task, u32 pid, struct process *process, u64 *cgroup)
{
	*cgroup = 0;
	if (scope == SCOPE_CGROUPS) {
		if (task->flags & PF_KTHREAD)
			return 0;
		*cgroup = listed_cgroup();
		return *cgroup != 0;
	}
	if (process)
		return 1;
	if (scope == SCOPE_CHOSEN)
		return !(task->flags & PF_KTHREAD) && !bpf_map_lookup_elem(&declined, &pid);
	return scope == SCOPE_ALL;
}

inline_always void announce(u32 pid, u64 cgroup)
{
	u64 now = bpf_ktime_get_ns();
	u64 *before = bpf_map_lookup_elem(&announced, &pid);
	if (before && now - *before < ANNOUNCE_AGAIN)
		return;
	bpf_map_update_elem(&announced, &pid, &now, BPF_ANY);
	count(COUNT_ANNOUNCED);
	tell(RECORD_UNKNOWN, pid, cgroup);
}

// What is known of a process that is not in `processes` no longer holds.
inline_always void reconsider(u32 pid)
{
	bpf_map_delete_elem(&declined, &pid);
	bpf_map_delete_elem(&announced, &pid);
}
