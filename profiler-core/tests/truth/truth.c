// Does work in alpha, beta and gamma, on two threads: alpha below 200 calls of its own and a stack that is made larger
// while it runs, beta below libc's qsort, gamma in a signal's handler. When its input ends it says how much of it was
// done in each.
#define _GNU_SOURCE
#include <alloca.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH 200
#define ROUNDS 40000

static atomic_ulong done[3];
static volatile unsigned long sink;

#define WORK(name, place)                                                                                              \
	__attribute__((noinline)) void name(void)                                                                      \
	{                                                                                                              \
		unsigned long value = sink;                                                                            \
		for (unsigned long i = 0; i < ROUNDS; i++)                                                             \
			value = value * 6364136223846793005UL + i;                                                     \
		sink = value;                                                                                          \
		done[place]++;                                                                                         \
	}
WORK(alpha, 0)
WORK(beta, 1)
WORK(gamma_, 2)

__attribute__((noinline)) static unsigned long descend(int depth)
{
	// Their size is not known to the compiler.
	char *room = alloca(16 + (sink & 63));
	memset(room, depth, 16);
	if (depth)
		sink += descend(depth - 1);
	else
		alpha();
	return room[sink & 15];
}

static int compare(const void *a, const void *b)
{
	beta();
	return *(const int *)a - *(const int *)b;
}

static void sort(void)
{
	int values[2] = {2, 1};
	qsort(values, 2, sizeof(*values), compare);
	sink += values[0];
}

static void on_signal(int number)
{
	sink += number;
	gamma_();
}

static void *run(void *seed)
{
	unsigned int state = (unsigned int)(unsigned long)seed;
	for (;;) {
		int chance = rand_r(&state) % 10;
		if (chance < 5)
			sink += descend(DEPTH);
		else if (chance < 8)
			sort();
		else
			raise(SIGUSR1);
	}
	return NULL;
}

int main(void)
{
	signal(SIGUSR1, on_signal);
	pthread_t thread;
	for (unsigned long i = 1; i <= 2; i++)
		pthread_create(&thread, NULL, run, (void *)i);
	char byte;
	while (read(0, &byte, 1) > 0)
		;
	printf("alpha %lu\nbeta %lu\ngamma_ %lu\n", done[0], done[1], done[2]);
	return 0;
}
