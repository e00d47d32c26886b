// SPDX-License-Identifier: GPL-2.0
/*
 * A call that fails after the duplicate was made ends the duplicate, and nobody
 * else: the call is held up while it writes its result, the duplicate is killed
 * and reaped meanwhile, and a stranger gets its number.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

static int fault_fd;
static char *page;
static pid_t target, caller_tid, dup_pid, stranger;
static bool ours;

/* A page whose first touch waits until it is unmapped. */
static bool make_page(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	write_text("/proc/sys/vm/unprivileged_userfaultfd", "1");
	fault_fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (fault_fd < 0 || ioctl(fault_fd, UFFDIO_API, &api))
		return false;
	page = map_private(PAGE);
	range.range.start = (uintptr_t)page;
	range.range.len = PAGE;
	return !ioctl(fault_fd, UFFDIO_REGISTER, &range);
}

/* The child of the calling thread that is not the target. */
static pid_t other_child(void)
{
	char path[64], text[256] = "", *at, *rest = NULL;
	pid_t pid;

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", caller_tid);
	if (slurp(path, text, sizeof(text)) < 0)
		return 0;
	for (at = strtok_r(text, " ", &rest); at; at = strtok_r(NULL, " ", &rest)) {
		pid = atoi(at);
		if (pid != target)
			return pid;
	}
	return 0;
}

/* A process with this number: a child of this process, or a child's child. */
static pid_t with_number(pid_t number, bool own)
{
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (uintptr_t)&number, .set_tid_size = 1,
		.flags = own ? 0 : CLONE_PARENT,
	};
	long pid;

	if (!own)
		args.exit_signal = 0;
	pid = syscall(SYS_clone3, &args, sizeof(args));
	if (!pid)
		sleep_for_ever();
	return pid;
}

static void *replace(void *unused)
{
	struct pollfd poll_fd = { fault_fd, POLLIN, 0 };
	struct uffdio_range range = { (uintptr_t)page, PAGE };
	struct uffd_msg message;

	(void)unused;
	if (poll(&poll_fd, 1, patience_s() * 1000) != 1 || read(fault_fd, &message, sizeof(message)) != sizeof(message))
		die("the call does not wait for its result");
	dup_pid = other_child();
	if (dup_pid <= 0 || snap_end(dup_pid))
		die("the duplicate %d cannot be ended", dup_pid);
	stranger = with_number(dup_pid, ours);
	munmap(page, PAGE);
	ioctl(fault_fd, UFFDIO_WAKE, &range);
	return NULL;
}

/* In a process of its own: a caller that has threads, and what it leaves behind. */
static long fails(void *unused)
{
	struct proc_snap_args args;
	pthread_t thread;
	long result;

	(void)unused;
	target = spawn(sleeper, NULL);
	caller_tid = gettid();
	if (!make_page())
		return -ENOSYS;
	if (pthread_create(&thread, NULL, replace, NULL))
		die("pthread_create");
	result = snap_figures(target, &args, (void *)page, 1);
	pthread_join(thread, NULL);
	word[1] = stranger;
	word[2] = stranger > 0 && stranger == dup_pid;
	end_target(target);
	if (ours && stranger > 0) {
		word[3] = waitpid(stranger, NULL, WNOHANG) == 0 && !kill(stranger, 0);
		end_target(stranger);
	}
	return result;
}

static void test_stranger(bool own, const char *what)
{
	long result;

	ours = own;
	word[1] = word[2] = word[3] = 0;
	result = in_child(fails, NULL);
	if (result == -ENOSYS) {
		skip(what, "no userfaultfd here");
		return;
	}
	is(result, -EFAULT, "%s: the call fails", what);
	is(word[2], 1, "%s: it has the duplicate's number", what);
	if (!own && word[1] > 0) {
		/* CLONE_PARENT made it this process's. */
		word[3] = at_rest(word[1]) && waitpid(word[1], NULL, WNOHANG | __WALL) == 0;
		end_target(word[1]);
	}
	is(word[3], 1, "%s: it lives", what);
}

int main(int argc, char **argv)
{
	tap_begin(argc, argv);
	test_stranger(false, "a stranger");
	test_stranger(true, "another child of the caller");
	return tap_end();
}
