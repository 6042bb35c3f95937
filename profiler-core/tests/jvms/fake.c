// Looks like a JVM as far as /proc tells, and does what none would.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static void ignore(int signal) { (void)signal; }

static const char *is(const char *mode, const char *name) { return strcmp(mode, name) == 0 ? mode : NULL; }

// What stands behind an option's name in a request, whose words end with zeros.
static int option(const char *request, ssize_t size, const char *name, char *value, size_t room) {
    for (ssize_t at = 0; at + (ssize_t)strlen(name) < size; at++) {
        if (memcmp(request + at, name, strlen(name)) == 0) {
            const char *begin = request + at + strlen(name);
            size_t length = strcspn(begin, ",");
            if (length >= room) return 0;
            memcpy(value, begin, length);
            value[length] = 0;
            return 1;
        }
    }
    return 0;
}

static void serve(int connection, const char *mode, const char *elsewhere) {
    char request[4096], file[1024], log[1024];
    ssize_t size = read(connection, request, sizeof request - 1);
    if (size < 0) return;
    request[size] = 0;
    if (is(mode, "endless")) {
        char filler[4096];
        memset(filler, '1', sizeof filler);
        while (write(connection, filler, sizeof filler) > 0) {}
        return;
    }
    if (is(mode, "dripping")) {
        while (write(connection, "1", 1) > 0) usleep(100000);
        return;
    }
    if (is(mode, "nonsense")) {
        if (write(connection, "HTTP/1.1 200 OK\r\n", 17) < 0) return;
        return;
    }
    if (option(request, size, "log=", log, sizeof log)) {
        unlink(log);
        if (*elsewhere && symlink(elsewhere, log) < 0) exit(1);
    }
    if (option(request, size, "file=", file, sizeof file)) {
        if (is(mode, "sparse") && truncate(file, 1L << 36) < 0) exit(1);
        if (is(mode, "linked") && (unlink(file) < 0 || symlink(elsewhere, file) < 0)) exit(1);
        if (is(mode, "fifo") && (unlink(file) < 0 || mkfifo(file, 0600) < 0)) exit(1);
    }
    const char *answer = "0\nreturn code: 0\n";
    if (write(connection, answer, strlen(answer)) < 0) return;
}

// fake MODE [ELSEWHERE]
int main(int count, char **words) {
    const char *mode = count > 1 ? words[1] : "idle", *elsewhere = count > 2 ? words[2] : "";
    char path[100];
    snprintf(path, sizeof path, "/tmp/.java_pid%d", getpid());
    signal(SIGPIPE, SIG_IGN);
    if (!is(mode, "idle")) signal(SIGQUIT, ignore);
    int listener = -1;
    if (is(mode, "elsewhere")) {
        if (symlink(elsewhere, path) < 0) return 1;
    } else if (!is(mode, "idle") && !is(mode, "deaf") && !is(mode, "trapped")) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        strcpy(address.sun_path, path);
        unlink(path);
        listener = socket(AF_UNIX, SOCK_STREAM, 0);
        if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, 5) < 0) return 1;
    }
    if (is(mode, "trapped")) {
        char trigger[100];
        snprintf(trigger, sizeof trigger, "/tmp/.attach_pid%d", getpid());
        if (symlink(elsewhere, trigger) < 0) return 1;
        if (symlink(elsewhere, strrchr(trigger, '/') + 1) < 0) return 1;
    }
    puts("ready");
    fflush(stdout);
    while (1) {
        if (listener < 0 || is(mode, "silent")) {
            pause();
            continue;
        }
        int connection = accept(listener, NULL, NULL);
        if (connection < 0) continue;
        serve(connection, mode, elsewhere);
        close(connection);
    }
}
