// SPDX-License-Identifier: GPL-2.0
/*
 * Every errno of both calls, and that a call which fails leaves nothing behind.
 * Here: those of a pid and of permission.
 */
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "errors.h"

#define OTHER	2000

static void as_user(void *uid)
{
	become((long)uid);
	word[(long)uid == USER ? READY : READY_OTHER] = 1;
	sleep_for_ever();
}

static void hidden(void *uid)
{
	become((long)uid);
	prctl(PR_SET_DUMPABLE, 0);
	word[READY_HIDDEN] = 1;
	sleep_for_ever();
}

static void all_ways(pid_t pid, long expected, const char *what)
{
	is(cleanly(snap, pid), expected, "%s: create_proc_snap", what);
	is(cleanly(by_struct, pid), expected, "%s: create_proc_snap2", what);
	if (pid > 0 && !kill(pid, 0))
		is(cleanly(by_pidfd, pid), expected, "%s: by pidfd", what);
}

static void (*prepare)(void);

static long prepared_way(void *call)
{
	prepare();
	return one_way(call);
}

/* The same as someone else, whom @become_someone makes of a child. */
static void all_ways_as(void (*become_someone)(void), pid_t pid, long expected, const char *what)
{
	prepare = become_someone;
	subject = pid;
	is(in_child(prepared_way, snap), expected, "%s: create_proc_snap", what);
	is(in_child(prepared_way, by_struct), expected, "%s: create_proc_snap2", what);
	is(in_child(prepared_way, by_pidfd), expected, "%s: by pidfd", what);
}

static void ordinary(void)
{
	become(USER);
}

static void tracing(void)
{
	become_capable(USER, CAP_SYS_PTRACE);
}

static void foreign_namespace(void)
{
	become(USER);
	if (unshare(CLONE_NEWUSER))
		die("unshare");
}

static void powerless(void)
{
	drop_capabilities();
}

static void test_pids(void)
{
	char path[64];
	pid_t pid, gone;
	int fd;

	all_ways(0, -EINVAL, "pid 0");
	all_ways(-1, -EINVAL, "pid -1");
	all_ways(-getpid(), -EINVAL, "own group");
	all_ways(INT_MIN, -EINVAL, "INT_MIN");
	all_ways(INT_MAX, -ESRCH, "INT_MAX");
	all_ways(2, -EINVAL, "kernel thread");

	pid = spawn(sleeper, NULL);
	fd = pidfd_of(pid);
	kill(pid, SIGKILL);
	waitid(P_PID, pid, &(siginfo_t){ }, WEXITED | WNOWAIT);
	all_ways(pid, -ESRCH, "zombie");
	is(by_pidfd_fd(fd), -ESRCH, "pidfd of a zombie");
	waitpid(pid, NULL, 0);
	gone = pid;
	all_ways(gone, -ESRCH, "a process that is gone");
	is(by_pidfd_fd(fd), -ESRCH, "pidfd of a process that is gone");
	close(fd);

	is(by_pidfd_fd(-1), -EBADF, "pidfd -1");
	is(by_pidfd_fd(1 << 20), -EBADF, "pidfd that is not open");
	fd = open("/proc/self/status", O_RDONLY);
	is(by_pidfd_fd(fd), -EBADF, "file as pidfd");
	close(fd);
	snprintf(path, sizeof(path), "/proc/%d", getpid());
	fd = open(path, O_RDONLY | O_DIRECTORY);
	ok(by_pidfd_fd(fd) == -EBADF, "folder of /proc as pidfd");
	close(fd);
	is(by_pidfd_fd(getpid()), -EBADF, "pid where a pidfd belongs");
}

static void test_duplicate_as_target(void)
{
	pid_t target = spawn(sleeper, NULL), dup = snap(target);

	ok(dup > 0, "a duplicate");
	all_ways(dup, -EINVAL, "duplicate of a duplicate");
	is(snap_end(dup), 0, "it ends");
	end_target(target);
}

static void test_permission(void)
{
	pid_t mine, others, secret;

	mine = spawn(as_user, (void *)USER);
	others = spawn(as_user, (void *)OTHER);
	secret = spawn(hidden, (void *)USER);
	wait_word(READY, 1);
	wait_word(READY_OTHER, 1);
	wait_word(READY_HIDDEN, 1);

	all_ways_as(ordinary, mine, 0, "own process");
	all_ways_as(ordinary, others, -EPERM, "another user's process");
	all_ways_as(tracing, others, 0, "another user's, with CAP_SYS_PTRACE");
	all_ways_as(ordinary, secret, -EPERM, "not dumpable");
	all_ways_as(tracing, secret, 0, "not dumpable, with CAP_SYS_PTRACE");
	all_ways_as(ordinary, 1, -EPERM, "init, by a user");
	all_ways_as(powerless, getpid(), -EPERM, "more capable, of the same uid");
	if (in_child(prepared_way, (prepare = foreign_namespace, subject = others, snap)) ==
	    -ENOTRECOVERABLE)
		skip("from another user namespace", "no user namespaces");
	else
		all_ways_as(foreign_namespace, others, -EPERM, "from another user namespace");
	ok(state_of(mine) == 'S' && state_of(others) == 'S' && state_of(secret) == 'S', "the targets live, and sleep");
	end_target(mine);
	end_target(others);
	end_target(secret);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	signal(SIGCHLD, SIG_DFL);
	test_struct();
	test_pids();
	test_duplicate_as_target();
	test_permission();
	test_nproc();
	test_pids_group();
	test_memory_group();
	return tap_end();
}
