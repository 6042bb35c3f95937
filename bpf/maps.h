// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The maps. Their sizes here are least ones: the loader sets those that depend on the machine.
#pragma once

#include "shared.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} events SEC(".maps");

// By pid: the processes that are unwound.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, struct process);
} processes SEC(".maps");

// Of all processes, each has a range of it.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, struct mapping);
} mappings SEC(".maps");

// Rows as u64. The size of an inner map is its table's.
struct table {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 8);
	__uint(map_flags, BPF_F_INNER_MAP);
};
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4096);
	__type(key, u32);
	__array(values, struct table);
} tables SEC(".maps");

// Rules that do not fit into a row, of all tables.
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 65536);
	__type(key, u32);
	__type(value, struct unwind_rule);
} rules SEC(".maps");

// Number 0 knows native code alone. Others, each of a runtime, know both that and their own, and are called for mappings
// that name them. The kernel lets programs of one type alone into such a map: there is one for each origin of samples.
struct unwinders {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 4);
};
struct unwinders unwinders SEC(".maps");
struct unwinders unwinders_off_cpu SEC(".maps");
struct unwinders unwinders_probe SEC(".maps");
enum {
	UNWINDER_NATIVE = 0,
	UNWINDER_PYTHON = 1,
	UNWINDER_HOTSPOT = 2,
	UNWINDER_V8 = 3,
	UNWINDER_RUBY = 4,
	UNWINDER_PERL = 5,
	UNWINDER_PHP = 6,
	UNWINDER_DOTNET = 7,
};

// When a pid that is not in `processes` was last announced.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u32);
	__type(value, u64);
} announced SEC(".maps");

// Pids that are not sampled although others are that are not in `processes`: until they run another program.
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, u32);
	__type(value, u32);
} declined SEC(".maps");

// Numbers of cgroups (v2) whose processes are sampled, with those of all below them.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} cgroups SEC(".maps");

// By thread: when it left the CPU, where that was sampled; else 0.
struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 0);
	__type(key, u32);
	__type(value, u64);
} away SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, COUNTERS);
	__type(key, u32);
	__type(value, u64);
} counters SEC(".maps");

inline_always void count(u32 what)
{
	u64 *counter = bpf_map_lookup_elem(&counters, &what);
	if (counter)
		(*counter)++;
}

inline_always void count_runtime(u32 unwinder, u32 reason)
{
	count(COUNT_RUNTIMES + unwinder * RUNTIME_REASONS + reason);
}

// Tells user space of a process, at once.
inline_always void tell(u32 kind, u32 pid, u64 value)
{
	struct event event = { .kind = kind, .pid = pid, .value = value };
	if (bpf_ringbuf_output(&events, &event, sizeof(event), BPF_RB_FORCE_WAKEUP))
		count(COUNT_EVENTS_LOST);
}
