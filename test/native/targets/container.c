// SPDX-License-Identifier: MIT
/*
 * container: an init in a pid namespace of its own, and another process in there.
 * Words: 1 the init's pid, 2 that the other one runs, 3 that the init has gone.
 */
#include "target.h"

static char stack[64 << 10];

static int be_init(void *arg)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (!fork()) {
		word[2] = 1;
		for (;;)
			usleep(1000);
	}
	for (;;)
		usleep(1000);
	return arg != NULL;
}

int main(void)
{
	pid_t pid = clone(be_init, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, NULL);

	if (pid < 0) {
		printf("clone(CLONE_NEWPID): %s\n", strerror(errno));
		return 3;
	}
	word[1] = pid;
	while (!word[2])
		usleep(500);
	ready();
	waitpid(pid, NULL, 0);
	word[3] = 1;
	for (;;)
		pause();
}
