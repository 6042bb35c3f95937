// A program of musl that loads async-profiler and records with it.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef const char *error_t;
typedef error_t (*execute_t)(const char *command, void (*output)(const char *, size_t));
typedef const char *(*text_t)(error_t error);

static void discard(const char *text, size_t size) { (void)text, (void)size; }

static void run(execute_t execute, text_t text, const char *command) {
    error_t error = execute(command, discard);
    if (error) {
        fprintf(stderr, "%s: %s\n", command, text(error));
        exit(1);
    }
}

// musl LIBRARY RECORDING
int main(int count, char **words) {
    void *library = count > 2 ? dlopen(words[1], RTLD_NOW) : NULL;
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    ((void (*)(void))dlsym(library, "asprof_init"))();
    execute_t execute = (execute_t)dlsym(library, "asprof_execute");
    text_t text = (text_t)dlsym(library, "asprof_error_str");
    char start[1000];
    snprintf(start, sizeof start, "start,event=itimer,interval=1ms,jfr,file=%s", words[2]);
    run(execute, text, start);
    for (clock_t began = clock(); clock() - began < CLOCKS_PER_SEC / 5;) {}
    run(execute, text, "stop");
    return 0;
}
