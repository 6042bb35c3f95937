// Does work of which the shares are known: `heavy` does three times what `light` does, both deep below `recurse` and
// libc's qsort. With the argument "signal" the work is done in a handler.
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEPTH 40

volatile unsigned long sink;

#define WORK(name, rounds)                                                                                             \
	__attribute__((noinline)) static unsigned long name(unsigned long seed)                                        \
	{                                                                                                              \
		for (unsigned long i = 0; i < rounds; i++)                                                             \
			seed = seed * 6364136223846793005UL + i;                                                       \
		sink = seed;                                                                                           \
		return seed;                                                                                           \
	}
WORK(heavy, 6000)
WORK(light, 2000)

__attribute__((noinline)) static int compare(const void *a, const void *b)
{
	int left = *(const int *)a, right = *(const int *)b;
	sink += heavy(left);
	sink += light(right);
	return left - right;
}

__attribute__((noinline)) static int recurse(int depth, int *values, int count)
{
	if (!depth) {
		qsort(values, count, sizeof(*values), compare);
		return 1;
	}
	// Addition after the call: it is no jump.
	int below = recurse(depth - 1, values, count) + 1;
	sink += below;
	return below;
}

static void fill_and_sort(void)
{
	int values[64];
	for (int i = 0; i < 64; i++)
		values[i] = rand();
	recurse(DEPTH, values, 64);
}

static void on_signal(int number)
{
	sink += number;
	fill_and_sort();
}

int main(int count, char **arguments)
{
	int by_signal = count > 1 && !strcmp(arguments[1], "signal");
	// Nobody has to end it.
	alarm(120);
	signal(SIGUSR1, on_signal);
	for (;;) {
		if (by_signal)
			raise(SIGUSR1);
		else
			fill_and_sort();
	}
}
