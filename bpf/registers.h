// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only
// The registers of user space. False everywhere: it is code of 32 bits.
#pragma once

#include "walk.h"

#if defined(__TARGET_ARCH_x86)
// The code segment of 64 bits, and the bits of it that say who ran.
#define USER_CS 0x33
#define IS_USER(regs) (((regs)->cs & 3) == 3)
#define IS_64_BITS(regs) ((regs)->cs == USER_CS)
#else
// PSR_MODE_MASK without PSR_MODE32_BIT
#define IS_USER(regs) (((regs)->pstate & 15) == 0)
#define IS_64_BITS(regs) (!((regs)->pstate & 16))
#endif

inline_always int take_registers(struct walk *walk, struct user_regs *regs)
{
#if defined(__TARGET_ARCH_x86)
	walk->ip = regs->ip;
	walk->sp = regs->sp;
	walk->fp = regs->bp;
	walk->place = regs->r13;
	walk->instruction = regs->r15;
	walk->lr_valid = 0;
#else
	walk->ip = regs->pc;
	walk->sp = regs->sp;
	walk->fp = regs->regs[29];
	walk->place = regs->regs[22];
	walk->instruction = regs->regs[28];
	walk->lr = regs->regs[30];
	walk->goroutine = regs->regs[28];
	walk->lr_valid = 1;
#endif
	return IS_64_BITS(regs);
}

// Where the thread's own data are, as its C library has them.
inline_always u64 thread_pointer(struct task_struct *task)
{
#if defined(__TARGET_ARCH_x86)
	return task->thread.fsbase;
#else
	return task->thread.uw.tp_value;
#endif
}

// Those with which user space was left for the kernel, which runs now.
inline_always int saved_registers(struct walk *walk, struct task_struct *task)
{
	// Read as memory: clang would merge a direct read with that of a program's context, which the verifier refuses.
	struct user_regs regs = {};
	bpf_probe_read_kernel(&regs, sizeof(regs), (void *)bpf_task_pt_regs(task));
	return take_registers(walk, &regs);
}

// `regs` are those of the moment, of the kernel or of user space.
inline_always int current_registers(struct walk *walk, struct task_struct *task, struct user_regs *regs)
{
	return IS_USER(regs) ? take_registers(walk, regs) : saved_registers(walk, task);
}
