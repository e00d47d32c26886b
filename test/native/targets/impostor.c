// SPDX-License-Identifier: MIT
/*
 * impostor UID [FIFO]: has the name of procsnap's tracer, user UID, and FIFO as
 * descriptor 3, and traces a child of its own (word 1). Word 2 counts SIGUSR1 that it gets.
 */
#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include "target.h"

static void count(int sig)
{
	(void)sig;
	add(2, 1);
}

int main(int argc, char **argv)
{
	uid_t uid = argc > 1 ? atoi(argv[1]) : 0;
	pid_t child;

	if (argc > 2)
		need(dup2(open(argv[2], O_RDONLY | O_NONBLOCK), 3) == 3, argv[2]);
	need(!setresuid(uid, uid, uid), "setresuid");
	prctl(PR_SET_DUMPABLE, 1);
	signal(SIGUSR1, count);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	prctl(PR_SET_NAME, "procsnap-tracer");
	need(!ptrace(PTRACE_SEIZE, child, 0, 0), "PTRACE_SEIZE");
	word[1] = child;
	ready();
	for (;;)
		pause();
}
