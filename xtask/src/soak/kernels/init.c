// The first process of a guest: starts two programs that are known, one busy and one that sleeps, lets them be sampled,
// and ends the guest.
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t start(char *const *arguments)
{
	pid_t pid = fork();
	if (pid == 0) {
		execv(arguments[0], arguments);
		perror(arguments[0]);
		_exit(127);
	}
	return pid;
}

int main(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/tmp", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	start((char *[]){"/busy", NULL});
	start((char *[]){"/idle", "rest", NULL});
	// All processes for 20 s, after 40 s for the tables: the guest's processor is slow.
	pid_t sampler = start((char *[]){"/sample", "0", "20", "97", "40", "1.0", "uprobe:/idle:rest", "kprobe:do_nanosleep",
					 NULL});
	int status = -1;
	waitpid(sampler, &status, 0);
	printf("\nthe sampler ended with %d\n", status);
	fflush(stdout);
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
