/* Builds a stack of the sort that is asked for, says which thread it is, and stops at its end. The test continues it one instruction after the
   other, so there is some work before it returns. */
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Some tests want a core. */
#ifndef STOP
#define STOP SIGSTOP
#endif

#define NOINLINE __attribute__((noinline))

static volatile int sink;

NOINLINE void stop_here(void)
{
	dprintf(2, "%d\n", gettid());
	raise(STOP);
	/* Through the procedure linkage table, for the first time. */
	sink += atoi("17") + (int)strtol("4", 0, 10);
}

static int depth;
NOINLINE int compare(const void *a, const void *b);

NOINLINE void descend(void)
{
	int pair[2] = { 2, 1 };
	qsort(pair, 2, sizeof pair[0], compare);
	sink += pair[0];
}

NOINLINE int compare(const void *a, const void *b)
{
	int difference = *(const int *)a - *(const int *)b;
	if (--depth > 0)
		descend();
	else if (depth == 0)
		stop_here();
	return difference;
}

NOINLINE void grow(size_t size)
{
	char *bytes = alloca(size);
	memset(bytes, 1, size);
	if (size > 8)
		grow(size / 2);
	else
		stop_here();
	sink += bytes[size - 1];
}

NOINLINE void align(int left)
{
	__attribute__((aligned(128))) volatile char bytes[256];
	bytes[left] = 1;
	if (left)
		align(left - 1);
	else
		stop_here();
	sink += bytes[left];
}

/* An aligned frame of a size that is not known before: its address is kept in the frame itself. */
NOINLINE void align_and_grow(int left)
{
	__attribute__((aligned(128))) volatile char bytes[256];
	volatile char *more = alloca(32 + left);
	bytes[left] = more[left] = 1;
	if (left)
		align_and_grow(left - 1);
	else
		stop_here();
	sink += bytes[left] + more[left];
}

NOINLINE void large(int left)
{
	volatile char bytes[100000];
	bytes[left] = 1;
	if (left)
		large(left - 1);
	else
		stop_here();
	sink += bytes[left];
}

NOINLINE void handler(int signal)
{
	stop_here();
	sink += signal;
}

NOINLINE void interrupted(int on_own_stack)
{
	static char stack[1 << 16];
	struct sigaction action = { .sa_handler = handler, .sa_flags = on_own_stack ? SA_ONSTACK : 0 };
	if (on_own_stack) {
		stack_t own = { .ss_sp = stack, .ss_size = sizeof stack };
		sigaltstack(&own, 0);
	}
	sigaction(SIGUSR1, &action, 0);
	raise(SIGUSR1);
	sink++;
}

/* The call is the last instruction, and what it returns to is the next function. */
NOINLINE __attribute__((noreturn)) void leave(void)
{
	stop_here();
	exit(0);
}

NOINLINE __attribute__((noreturn)) void last_call(void)
{
	sink++;
	leave();
}

NOINLINE void *thread(void *nothing)
{
	stop_here();
	sink++;
	return nothing;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	if (!strcmp(what, "callback")) { depth = 20; descend(); }
	else if (!strcmp(what, "alloca")) grow(64);
	else if (!strcmp(what, "aligned")) align(3);
	else if (!strcmp(what, "aligned_alloca")) align_and_grow(3);
	else if (!strcmp(what, "large")) large(2);
	else if (!strcmp(what, "signal")) interrupted(0);
	else if (!strcmp(what, "signal_stack")) interrupted(1);
	else if (!strcmp(what, "last_call")) last_call();
	else if (!strcmp(what, "thread")) {
		pthread_t other;
		pthread_create(&other, 0, thread, 0);
		pthread_join(other, 0);
	} else return 2;
	return sink == -1;
}
