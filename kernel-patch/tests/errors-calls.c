// SPDX-License-Identifier: GPL-2.0
/* The ways to call, and that one which fails leaves nothing behind. */
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "errors.h"

pid_t by_struct(pid_t pid)
{
	struct proc_snap_args args;

	return snap_figures(pid, &args, NULL, 0);
}

int pidfd_of(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

pid_t by_pidfd_fd(int fd)
{
	struct proc_snap_args args = { .flags = PROC_SNAP_PIDFD, .target = fd };

	return snap2(&args, sizeof(args));
}

pid_t by_pidfd(pid_t pid)
{
	int fd = pidfd_of(pid);
	pid_t result = by_pidfd_fd(fd);

	close(fd);
	return result;
}

bool child_signal(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGCHLD);
}

void forget_child_signal(void)
{
	struct timespec none = { };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &none);
}

void block_child_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

long cleanly(pid_t (*call)(pid_t), pid_t pid)
{
	int before = children(getpid());
	long result;

	forget_child_signal();
	result = call(pid);
	if (result > 0)
		return snap_end(result) ? -ECHILD : 0;
	return children(getpid()) != before || child_signal() ? -ECHILD : result;
}

pid_t subject;

long one_way(void *call)
{
	block_child_signal();
	return cleanly((pid_t (*)(pid_t))call, subject);
}
