// Stops the process when it was called some times, and says on standard error by which thread.
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

// Loaded as an agent it may be called, and nothing is said about it.
int Agent_OnLoad(void *machine, char *options, void *reserved)
{
	(void)machine, (void)options, (void)reserved;
	return 0;
}

long Java_Stopped_stopHere(void *environment, void *class, long value)
{
	static int calls;
	(void)environment, (void)class;
	if (++calls == CALLS) {
		long thread = syscall(SYS_gettid);
		dprintf(2, "%ld\n", thread);
		// Another thread would be stopped first, and this one go on meanwhile.
		syscall(SYS_tgkill, getpid(), thread, SIGSTOP);
	}
	return value;
}
