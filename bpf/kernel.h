// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// What the programs need of the kernel: types, helpers, and the few fields of its structs. The loader finds the fields'
// real places in the running kernel's BTF, so that no header of a kernel is needed.
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef signed short s16;
typedef unsigned int u32;
typedef unsigned long long u64;
typedef signed int s32;
typedef signed long long s64;

#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int(*name)[val]
#define __type(name, val) typeof(val) *name
#define __array(name, val) typeof(val) *name[]
#define inline_always static inline __attribute__((always_inline))
#define NULL ((void *)0)

enum {
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PROG_ARRAY = 3,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_ARRAY_OF_MAPS = 12,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_MAP_TYPE_TASK_STORAGE = 29,
};

enum {
	BPF_ANY = 0,
	BPF_F_NO_PREALLOC = 1 << 0,
	BPF_F_INNER_MAP = 1 << 12,
	BPF_LOCAL_STORAGE_GET_F_CREATE = 1 << 0,
	BPF_RB_NO_WAKEUP = 1 << 0,
	BPF_RB_FORCE_WAKEUP = 1 << 1,
	BPF_RB_AVAIL_DATA = 0,
};

// task_struct.flags
#define PF_EXITING 0x00000004
#define PF_KTHREAD 0x00200000

#if defined(__bpf__)
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif
typedef struct {
	int counter;
} atomic_t;
struct signal_struct {
	atomic_t live;
};
struct ns_common {
	unsigned int inum;
};
struct pid_namespace {
	struct ns_common ns;
};
struct upid {
	int nr;
	struct pid_namespace *ns;
};
struct pid {
	unsigned int level;
	struct upid numbers[1];
};
// The thread pointer of user space, as it was when the thread last left its CPU: programs set it once.
struct thread_struct {
#if defined(__TARGET_ARCH_x86)
	unsigned long fsbase;
#else
	struct {
		unsigned long tp_value;
	} uw;
#endif
};
struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	struct task_struct *group_leader;
	struct pid *thread_pid;
	struct signal_struct *signal;
	struct thread_struct thread;
};
#if defined(__bpf__)
#pragma clang attribute pop
#endif

// The registers of user space, as the kernel hands them to perf_event programs and keeps them on a task's stack.
#if defined(__TARGET_ARCH_x86)
struct user_regs {
	u64 r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di, orig_ax, ip, cs, flags, sp, ss;
};
#elif defined(__TARGET_ARCH_arm64)
struct user_regs {
	u64 regs[31], sp, pc, pstate;
};
#else
#error "compile with -D__TARGET_ARCH_x86 or -D__TARGET_ARCH_arm64"
#endif
struct bpf_perf_event_data {
	struct user_regs regs;
	u64 sample_period;
	u64 addr;
};

// Helpers have numbers, and the loader writes settings into what is read-only for programs. Compiled for anything else
// than the kernel, both are what the tests make of them.
#if defined(__bpf__)
#define SETTING volatile const
#define HELPER(number, result, name, ...) static result (*const name)(__VA_ARGS__) = (void *)number
#else
#define SETTING volatile
#define HELPER(number, result, name, ...) result name(__VA_ARGS__)
#define __builtin_preserve_access_index(place) (place)
#endif
HELPER(1, void *, bpf_map_lookup_elem, void *map, const void *key);
HELPER(2, long, bpf_map_update_elem, void *map, const void *key, const void *value, u64 flags);
HELPER(3, long, bpf_map_delete_elem, void *map, const void *key);
HELPER(5, u64, bpf_ktime_get_ns, void);
HELPER(7, u32, bpf_get_prandom_u32, void);
HELPER(12, long, bpf_tail_call, void *ctx, void *programs, u32 index);
HELPER(16, long, bpf_get_current_comm, void *buffer, u32 size);
HELPER(67, long, bpf_get_stack, void *ctx, void *buffer, u32 size, u64 flags);
HELPER(80, u64, bpf_get_current_cgroup_id, void);
HELPER(112, long, bpf_probe_read_user, void *to, u32 size, const void *from);
HELPER(113, long, bpf_probe_read_kernel, void *to, u32 size, const void *from);
HELPER(130, long, bpf_ringbuf_output, void *ring, void *data, u64 size, u64 flags);
HELPER(134, u64, bpf_ringbuf_query, void *ring, u64 flags);
HELPER(123, u64, bpf_get_current_ancestor_cgroup_id, int level);
HELPER(156, void *, bpf_task_storage_get, void *map, struct task_struct *task, void *value, u64 flags);
HELPER(158, struct task_struct *, bpf_get_current_task_btf, void);
HELPER(175, long, bpf_task_pt_regs, struct task_struct *task);
