// Burns CPU in two functions, one of which does three times as much, and naps in a third, until it is killed.
#include <stdio.h>
#include <unistd.h>

volatile unsigned long sink;

__attribute__((noinline)) void burn_light(long rounds)
{
	for (long i = 0; i < rounds; i++)
		sink += i * i;
}

__attribute__((noinline)) void burn_heavy(long rounds)
{
	for (long i = 0; i < 3 * rounds; i++)
		sink += i * i;
}

__attribute__((noinline)) void nap(void)
{
	usleep(1000);
	sink++;
}

int main(void)
{
	puts("burning");
	fflush(stdout);
	for (;;) {
		for (int i = 0; i < 50; i++) {
			burn_light(100000);
			burn_heavy(100000);
		}
		nap();
	}
}
