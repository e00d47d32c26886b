// SPDX-License-Identifier: MIT
/*
 * core WHAT: parts of the native core in a process of their own, where they are
 * to meet what a whole take meets by chance only. Says "ok", or what it did instead.
 *   untraced	a duplicate that nobody here traces any more is to be buried, and still lives
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "duplicate/burial.h"

static const char *untraced(void)
{
	struct ps_duplicate duplicate = { .target = getppid(), .inner_pid = 1 };
	struct ps_ended ended = { 0 };
	int ends[2], err;

	if (pipe(ends))
		return "pipe() failed";
	if (!fork()) {		/* so that it is no child of ours */
		pid_t pid = fork();

		if (pid)
			_exit(write(ends[1], &pid, sizeof(pid)) < 0);
		prctl(PR_SET_PDEATHSIG, 0);
		pause();
	}
	wait(NULL);
	if (read(ends[0], &duplicate.pid, sizeof(duplicate.pid)) != sizeof(duplicate.pid))
		return "read() failed";
	err = ps_bury(&duplicate, -1, 20 * 1000 * 1000, 0, &ended);
	kill(duplicate.pid, SIGKILL);
	if (err != -ETIMEDOUT || !ps_burying(duplicate.pid))
		return "one that lives is taken for buried";
	while (ps_burying(duplicate.pid)) {
		usleep(1000);
		ps_burial_run();
	}
	return "ok";
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	alarm(30);
	if (!strcmp(what, "untraced"))
		puts(untraced());
	return 0;
}
