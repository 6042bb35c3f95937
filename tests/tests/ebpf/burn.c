// Burns CPU in two functions, one of which does three times as much, until it is killed.
#include <stdio.h>

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

int main(void)
{
	puts("burning");
	fflush(stdout);
	for (;;) {
		burn_light(100000);
		burn_heavy(100000);
	}
}
