// Does work of which the shares are known: `heavy` does three times what `light` does, both deep below `recurse` and
// libc's qsort. An argument says what is special:
//   signal         the work is done in a handler
//   written        it is called by code that the program wrote into memory
//   mappings       before it, 2,048 stretches of executable memory are made that are no neighbours
//   clock          nothing but asking for the time, which is done in the vDSO
//   rest           it sleeps instead of the work, always for 10 ms
//   visits         after SIGUSR2 it calls `visit` 100 times and waits
//   library PATH   after SIGUSR2 the work is done in a library, opened then
// Compiled with -DLIBRARY this is the library.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
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
#ifdef LIBRARY
WORK(late_work, 6000)
unsigned long late(unsigned long seed)
{
	return late_work(seed) + 1;
}
#else
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

// push the frame pointer, call the argument, and return
#if defined(__x86_64__)
static const unsigned char caller[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd7, 0x5d, 0xc3};
#else
static const unsigned int caller[] = {0xa9bf7bfd, 0x910003fd, 0xd63f0000, 0xa8c17bfd, 0xd65f03c0};
#endif

static void work_through_written_code(void)
{
	void *memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memcpy(memory, caller, sizeof(caller));
	mprotect(memory, 4096, PROT_READ | PROT_EXEC);
	__builtin___clear_cache(memory, (char *)memory + sizeof(caller));
	for (;;)
		((void (*)(void (*)(void)))memory)(fill_and_sort);
}

static void make_mappings(void)
{
	int file = open("/proc/self/exe", O_RDONLY);
	char *room = mmap(NULL, 4096UL * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int i = 0; i < 2048; i++)
		mmap(room + 8192UL * i, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, file, 0);
}

static void ask_for_the_time(void)
{
	struct timespec now;
	for (;;) {
		clock_gettime(CLOCK_MONOTONIC, &now);
		sink += now.tv_nsec;
	}
}

static volatile int may_open;
static void on_permission(int number)
{
	may_open = number;
}

static void work_in_library(const char *path)
{
	signal(SIGUSR2, on_permission);
	while (!may_open)
		fill_and_sort();
	void *library = dlopen(path, RTLD_NOW);
	unsigned long (*late)(unsigned long) = library ? (unsigned long (*)(unsigned long))dlsym(library, "late") : NULL;
	while (late)
		sink += late(sink);
}

__attribute__((noinline)) static void rest(void)
{
	struct timespec pause = {.tv_nsec = 10000000};
	nanosleep(&pause, NULL);
	sink++;
}

__attribute__((noinline)) static void visit(int number)
{
	sink += number;
}

static int compare_by_visit(const void *a, const void *b)
{
	visit(*(const int *)a);
	return *(const int *)a - *(const int *)b;
}

// Through libc: two elements are compared once.
static void make_visits(void)
{
	signal(SIGUSR2, on_permission);
	while (!may_open)
		rest();
	for (int i = 0; i < 100; i++) {
		int values[2] = {i, i + 1};
		qsort(values, 2, sizeof(*values), compare_by_visit);
	}
	for (;;)
		rest();
}

int main(int count, char **arguments)
{
	const char *what = count > 1 ? arguments[1] : "";
	// Nobody has to end it.
	alarm(180);
	signal(SIGUSR1, on_signal);
	if (!strcmp(what, "written"))
		work_through_written_code();
	if (!strcmp(what, "clock"))
		ask_for_the_time();
	if (!strcmp(what, "visits"))
		make_visits();
	while (!strcmp(what, "rest"))
		rest();
	if (!strcmp(what, "library"))
		work_in_library(arguments[2]);
	if (!strcmp(what, "mappings"))
		make_mappings();
	for (;;) {
		if (!strcmp(what, "signal"))
			raise(SIGUSR1);
		else
			fill_and_sort();
	}
}
#endif
