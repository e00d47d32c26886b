// SPDX-License-Identifier: MIT
/*
 * reused: has a child in vfork() (word 1), which cannot be stopped. 300 ms after
 * word 2 is set it is killed, and another child with its pid sleeps: word 3 is 1
 * then, or -1 if others were quicker to have that pid.
 */
#include <fcntl.h>
#include "target.h"

static pid_t in_vfork(void)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!vfork()) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pause();
		_exit(0);
	}
	_exit(0);
}

/* The pid after @pid - 1. */
static pid_t again(pid_t pid)
{
	int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY);
	char text[16];
	pid_t child;

	snprintf(text, sizeof(text), "%d", pid - 1);
	need(fd >= 0 && write(fd, text, strlen(text)) > 0, "ns_last_pid");
	close(fd);
	child = fork();
	if (child)
		return child;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		pause();
}

int main(void)
{
	pid_t pid = in_vfork();

	word[1] = pid;
	ready();
	while (!word[2])
		usleep(1000);
	usleep(300000);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	word[3] = again(pid) == pid ? 1 : -1;
	for (;;)
		pause();
}
