// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// Which goroutine a thread works for.
#pragma once

#include "registers.h"

inline_always int go_read(void *into, u32 size, u64 address)
{
	return bpf_probe_read_user(into, size, (void *)address) == 0;
}

// The goroutine that the thread runs, or runs something for on its own stack. 0: none. Offsets in bytes: from the thread
// pointer to the thread's goroutine of the moment (x86_64 alone), in a goroutine its thread, and in that what is asked for.
inline_always u64 goroutine_of(struct walk *walk, s32 thread, u16 machine_at, u16 current_at)
{
	u64 routine, machine, current, its_machine;
#if defined(__TARGET_ARCH_x86)
	if (!go_read(&routine, 8, thread_pointer(bpf_get_current_task_btf()) + (s64)thread))
		routine = 0;
#else
	(void)thread;
	routine = walk->goroutine;
#endif
	(void)walk;
	// The thread did not begin in Go, or is in code of C that uses the register for something else.
	if (!routine || !go_read(&machine, 8, routine + machine_at) || !machine ||
	    !go_read(&current, 8, machine + current_at))
		return 0;
	if (!current || !go_read(&its_machine, 8, current + machine_at) || its_machine != machine)
		return 0;
	return current;
}
