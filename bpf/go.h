// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Labels that programs of Go give their goroutines (runtime/pprof.Do). They are read whole while the goroutine is on its
// CPU: later its memory may be another label's already.
#pragma once

#include "goroutine.h"

// Set by the loader.
SETTING u32 go_labels = 0;

// Most labels of a goroutine, longest key, and longest value: what follows of it is cut off.
#define GO_LABELS 16
#define GO_KEY 64
#define GO_VALUE 128
// Until 1.23 labels are a map: tables of eight, some with another one behind. More than are needed for GO_LABELS.
#define GO_TABLE 8
#define GO_TABLES 6
// minTopHash: below it a place is free.
#define GO_TAKEN 5

// Where things are in a process; offsets in bytes.
struct go_process {
	s32 thread;   // from the thread pointer to the goroutine, on x86_64
	u16 machine;  // of a goroutine: its thread
	u16 current;  // of a thread: the goroutine that is not the runtime's own
	u16 labels;   // of a goroutine
	u8 is_map;    // else labels are a list
	u8 pad;
	u32 pad2;
};

// By pid.
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct go_process);
} go_processes SEC(".maps");

struct go_text {
	u64 address;
	u64 length;
};
struct go_label {
	struct go_text key;
	struct go_text value;
};
struct go_map {
	u64 count;
	u8 flags;
	u8 log_tables;
	u16 overflows;
	u32 seed;
	u64 tables;
};
// In a table: a byte for each key, keys, values, and the table behind it.
#define GO_KEYS GO_TABLE
#define GO_VALUES (GO_KEYS + GO_TABLE * 16)
#define GO_BEHIND (GO_VALUES + GO_TABLE * 16)
#define GO_TABLE_SIZE (GO_BEHIND + 8)

// A number that is known to be no larger, so that the compiler does not leave it out.
inline_always u64 within(u64 number, u64 most)
{
	asm volatile("" : "+r"(number));
	return number & most;
}

// False: there is no room, or it cannot be read. A function of its own, as `step` is.
__attribute__((noinline)) int go_take_label(struct walk *walk, u64 key, u64 key_length, u64 value, u64 value_length)
{
	if (!walk)
		return 0;
	u64 at = walk->record.label_bytes;
	// A part of a key is another key.
	if (at >= LABEL_BYTES - LABEL_HEAD - GO_KEY - GO_VALUE || !key_length || key_length > GO_KEY)
		return 0;
	if (value_length > GO_VALUE)
		value_length = GO_VALUE;
	// The verifier of 6.1 forgets what was compared once it is put aside: it is told again, by powers of two.
	at = within(at, LABEL_BYTES - 1);
	key_length = within(key_length, 2 * GO_KEY - 1);
	value_length = within(value_length, 2 * GO_VALUE - 1);
	u8 *label = walk->labels + at;
	if (bpf_probe_read_user(label + LABEL_HEAD, key_length, (void *)key) ||
	    bpf_probe_read_user(label + LABEL_HEAD + key_length, value_length, (void *)value))
		return 0;
	label[0] = key_length;
	label[1] = value_length;
	walk->record.label_bytes = at + LABEL_HEAD + key_length + value_length;
	return 1;
}

// False: not all were read.
inline_always int go_take_list(struct walk *walk, u64 labels)
{
	struct go_text list;
	if (!go_read(&list, sizeof(list), labels))
		return 0;
	int whole = list.length <= GO_LABELS;
	for (u32 i = 0; i < GO_LABELS && i < list.length; i++) {
		struct go_label label;
		if (!go_read(&label, sizeof(label), list.address + i * sizeof(label)) ||
		    !go_take_label(walk, label.key.address, label.key.length, label.value.address, label.value.length))
			whole = 0;
	}
	return whole;
}

// What a map's tables are gone through with is in `walk`, which the verifier does not follow: it would try all combinations.
// The next table; false: there is none, or it cannot be read. A function of its own, as `step` is.
__attribute__((noinline)) int go_next_table(struct walk *walk)
{
	if (!walk)
		return 0;
	struct go_place *place = &walk->go;
	place->table = place->behind;
	if (!place->table) {
		if (!place->tables_left)
			return 0;
		place->tables_left--;
		place->table = place->next;
		place->next += GO_TABLE_SIZE;
	}
	return go_read(&place->used, 8, place->table) && go_read(&place->behind, 8, place->table + GO_BEHIND);
}

// What is in a place of the table. False: it is a label that cannot be taken. A function of its own, as `step` is.
__attribute__((noinline)) int go_take_place(struct walk *walk, u32 number)
{
	struct go_text key, value;
	if (!walk)
		return 0;
	if ((walk->go.used >> 8 * (number & (GO_TABLE - 1)) & 0xff) < GO_TAKEN)
		return 1;
	walk->go.left--;
	u64 at = walk->go.table + number * sizeof(key);
	return go_read(&key, sizeof(key), at + GO_KEYS) && go_read(&value, sizeof(value), at + GO_VALUES) &&
	       go_take_label(walk, key.address, key.length, value.address, value.length);
}

// False: not all were read. Maps of up to 26 keys have moved all of them when they have grown.
inline_always int go_take_map(struct walk *walk, u64 labels)
{
	struct go_map map;
	u64 address;
	if (!go_read(&address, 8, labels))
		return 0;
	if (!address)
		return 1;
	if (!go_read(&map, sizeof(map), address))
		return 0;
	walk->go.next = map.tables;
	walk->go.tables_left = 1u << (map.log_tables & 7);
	walk->go.behind = 0;
	walk->go.left = map.count < GO_LABELS ? map.count : GO_LABELS;
	int whole = map.count <= GO_LABELS;
	for (u32 i = 0; i < GO_TABLES * GO_TABLE && walk->go.left; i++) {
		u32 number = i & (GO_TABLE - 1);
		if (!number && !go_next_table(walk))
			return 0;
		if (!go_take_place(walk, number))
			whole = 0;
	}
	return whole && !walk->go.left;
}

// A function of its own, as `step` is.
__attribute__((noinline)) int go_take_labels(struct walk *walk)
{
	if (!walk)
		return 0;
	u32 pid = walk->record.pid;
	struct go_process *process = bpf_map_lookup_elem(&go_processes, &pid);
	if (!process)
		return 0;
	u64 current = goroutine_of(walk, process->thread, process->machine, process->current), labels;
	if (!current || !go_read(&labels, 8, current + process->labels) || !labels)
		return 0;
	int whole = process->is_map ? go_take_map(walk, labels) : go_take_list(walk, labels);
	count(whole ? COUNT_LABELLED : COUNT_LABELS_CUT);
	return 0;
}
