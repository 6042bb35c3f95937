// Threads that store something under a key. Says of each what pthread_self() gives and what it stored, and waits until its
// input ends. Argument: how many keys others have taken before.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define THREADS 3

static pthread_key_t key;
static pthread_barrier_t stored;

static void *store(void *value)
{
	pthread_setspecific(key, value);
	printf("%lx %lx\n", (unsigned long)pthread_self(), (unsigned long)value);
	fflush(stdout);
	pthread_barrier_wait(&stored);
	pause();
	return NULL;
}

int main(int count, char **arguments)
{
	for (int before = count > 1 ? atoi(arguments[1]) : 0; before >= 0; before--)
		pthread_key_create(&key, NULL);
	pthread_barrier_init(&stored, NULL, THREADS + 1);
	for (int number = 0; number < THREADS; number++) {
		pthread_t thread;
		pthread_create(&thread, NULL, store, malloc(64));
	}
	pthread_barrier_wait(&stored);
	printf("stored\n");
	fflush(stdout);
	char byte;
	return read(0, &byte, 1) > 0;
}
