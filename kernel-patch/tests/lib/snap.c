// SPDX-License-Identifier: GPL-2.0
/* The calls, and what they return. */
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "snap.h"

pid_t snap(pid_t pid)
{
	long result = syscall(NR_CREATE_PROC_SNAP, pid);

	return result < 0 ? -errno : result;
}

pid_t snap2(struct proc_snap_args *args, size_t size)
{
	long result = syscall(NR_CREATE_PROC_SNAP2, args, size);

	return result < 0 ? -errno : result;
}

pid_t snap_figures(pid_t pid, struct proc_snap_args *args,
		   struct proc_snap_thread *threads, unsigned int nr)
{
	memset(args, 0, sizeof(*args));
	args->target = pid;
	args->threads = (uintptr_t)threads;
	args->nr_threads = nr;
	return snap2(args, sizeof(*args));
}

bool parked(pid_t dup)
{
	return at_rest(dup) && waitpid(dup, NULL, WNOHANG) == 0;
}

int snap_end(pid_t dup)
{
	int status = 0;

	if (dup <= 0 || kill(dup, SIGKILL) || waitpid(dup, &status, 0) != dup)
		return -1;
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -1;
}
