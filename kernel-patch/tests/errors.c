// SPDX-License-Identifier: GPL-2.0
/* Every errno of both calls, and that a call which fails leaves nothing behind. */
#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/snap.h"

#define USER	1000
#define OTHER	2000
enum { READY = 1, READY_OTHER, READY_HIDDEN, READY_BIG, TICKS };

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

static pid_t by_struct(pid_t pid)
{
	struct proc_snap_args args;

	return snap_figures(pid, &args, NULL, 0);
}

static int pidfd_of(pid_t pid)
{
	return syscall(SYS_pidfd_open, pid, 0);
}

static pid_t by_pidfd_fd(int fd)
{
	struct proc_snap_args args = { .flags = PROC_SNAP_PIDFD, .target = fd };

	return snap2(&args, sizeof(args));
}

static pid_t by_pidfd(pid_t pid)
{
	int fd = pidfd_of(pid);
	pid_t result = by_pidfd_fd(fd);

	close(fd);
	return result;
}

static bool child_signal(void)
{
	sigset_t pending;

	sigpending(&pending);
	return sigismember(&pending, SIGCHLD);
}

static void forget_child_signal(void)
{
	struct timespec none = { };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigtimedwait(&set, NULL, &none);
}

static void block_child_signal(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Calls within what must leave nothing: no child, no signal. -ECHILD if it does. */
static long cleanly(pid_t (*call)(pid_t), pid_t pid)
{
	int before = children(getpid());
	long result;

	forget_child_signal();
	result = call(pid);
	if (result > 0)
		return snap_end(result) ? -ECHILD : 0;
	return children(getpid()) != before || child_signal() ? -ECHILD : result;
}

static void all_ways(pid_t pid, long expected, const char *what)
{
	is(cleanly(snap, pid), expected, "%s: create_proc_snap", what);
	is(cleanly(by_struct, pid), expected, "%s: create_proc_snap2", what);
	if (pid > 0 && !kill(pid, 0))
		is(cleanly(by_pidfd, pid), expected, "%s: by pidfd", what);
}

static pid_t subject;

static long one_way(void *call)
{
	block_child_signal();
	return cleanly((pid_t (*)(pid_t))call, subject);
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
	is(peek(mine, &subject) >= 0, 1, "the targets live");
	end_target(mine);
	end_target(others);
	end_target(secret);
}

/* --- limits; the target has four threads, so its duplicate has four tasks --- */

static void four_threads(void *uid)
{
	if (uid)
		become((long)uid);
	add_threads(3);
	word[READY_BIG] = 1;
	sleep_for_ever();
}

static long limit_for;

static long limited_processes(void *call)
{
	struct rlimit limit;

	become(USER);
	limit.rlim_cur = limit.rlim_max = limit_for;
	setrlimit(RLIMIT_NPROC, &limit);
	return one_way(call);
}

static void test_nproc(void)
{
	int spare;

	subject = spawn(four_threads, (void *)USER);
	wait_word(READY_BIG, 1);
	UNTIL(threads_of(subject) == 4);
	/* the target's four tasks and the caller */
	for (spare = 0; spare < 4; spare++) {
		limit_for = 5 + spare;
		is(in_child(limited_processes, snap), -EAGAIN,
		   "RLIMIT_NPROC, room for %d of 4", spare);
		is(in_child(limited_processes, by_struct), -EAGAIN,
		   "RLIMIT_NPROC, room for %d of 4, second call", spare);
	}
	limit_for = 9;
	/* also shows that those before gave back what they had taken */
	is(in_child(limited_processes, snap), 0, "RLIMIT_NPROC, just enough");
	end_target(subject);
	word[READY_BIG] = 0;
}

static long in_group(void *call)
{
	return cgroup_enter("snap-errors", getpid()) ? one_way(call) : -ENOENT;
}

static void test_pids_group(void)
{
	char text[16];
	int room;

	if (!cgroup_make("snap-errors") || cgroup_read("snap-errors", "pids.current") < 0) {
		skip("pids cgroup", "no pids controller");
		return;
	}
	subject = spawn(four_threads, NULL);
	wait_word(READY_BIG, 1);
	UNTIL(threads_of(subject) == 4);
	for (room = 0; room <= 4; room++) {
		snprintf(text, sizeof(text), "%d", 1 + room);
		cgroup_write("snap-errors", "pids.max", text);
		is(in_child(in_group, snap), room < 4 ? -EAGAIN : 0,
		   "pids cgroup, room for %d of 4", room);
		is(in_child(in_group, by_struct), room < 4 ? -EAGAIN : 0,
		   "pids cgroup, room for %d of 4, second call", room);
		ok(UNTIL(cgroup_read("snap-errors", "pids.current") == 0),
		   "nothing is left in the cgroup");
	}
	is(threads_of(subject), 4, "the target has its threads");
	end_target(subject);
	cgroup_remove("snap-errors");
}

#define TABLES	2048

static void sparse(void *unused)
{
	(void)unused;
	map_sparse(TABLES);
	word[READY_BIG] = 2;
	for (;;) {
		word[TICKS]++;
		pause_ms(1);
	}
}

static void test_memory_group(void)
{
	long result, ticks;
	int i;

	if (!cgroup_make("snap-errors") || cgroup_read("snap-errors", "memory.current") < 0) {
		skip("memory cgroup", "no memory controller");
		return;
	}
	cgroup_write("snap-errors", "memory.max", "4194304");
	cgroup_write("snap-errors", "memory.swap.max", "0");
	subject = spawn(sparse, NULL);
	wait_word(READY_BIG, 2);
	for (i = 0; i < 2; i++) {
		result = in_child(in_group, i ? by_struct : snap);
		/* as for any process over its limit: refused, or the OOM killer's */
		ok(result == -ENOMEM || result == -ENOTRECOVERABLE,
		   "page tables over the caller's memory.max: %s",
		   result == -ENOMEM ? "ENOMEM" : "the caller was killed");
		if (result != -ENOMEM && result != -ENOTRECOVERABLE)
			note("result %ld", result);
	}
	ticks = word[TICKS];
	ok(UNTIL(word[TICKS] > ticks + 2), "the target lives and runs");
	ok(UNTIL(cgroup_read("snap-errors", "memory.current") < 1 << 20),
	   "the cgroup has it back");
	cgroup_write("snap-errors", "memory.max", "max");
	is(in_child(in_group, snap), 0, "without the limit it works");
	end_target(subject);
	cgroup_remove("snap-errors");
}

/* --- the structure --- */

static void test_struct(void)
{
	struct { struct proc_snap_args args; long more[2]; } longer = { };
	struct proc_snap_args args = { }, *edge, *readonly;
	struct proc_snap_thread *half;
	pid_t target = spawn(sleeper, NULL), dup;
	char *page = map_private(2 * PAGE);
	unsigned int bit, wrong = 0;
	size_t size;

	munmap(page + PAGE, PAGE);
	block_child_signal();
	forget_child_signal();

	is(sizeof(args), PROC_SNAP_ARGS_SIZE_VER0, "size of the structure");
	is(snap2(NULL, 0), -EINVAL, "the probe: NULL, 0");
	args.target = target;
	for (size = 0; size < sizeof(args); size++)
		wrong += snap2(&args, size) != -EINVAL;
	is(wrong, 0, "every size below the first version's");
	is(snap2(NULL, sizeof(args)), -EFAULT, "structure at NULL");
	is(snap2((void *)8, sizeof(args)), -EFAULT, "structure at 8");
	is(snap2((void *)-4096, sizeof(args)), -EFAULT, "structure in the kernel");
	edge = (void *)(page + PAGE - sizeof(args) + 8);
	is(snap2(edge, sizeof(args)), -EFAULT, "structure over the edge");
	is(snap2(&args, PAGE + 1), -E2BIG, "size over a page");
	is(snap2(&args, SIZE_MAX), -E2BIG, "size SIZE_MAX");

	longer.args = args;
	dup = snap2(&longer.args, sizeof(longer));
	ok(dup > 0, "a longer structure, zero where it is unknown");
	snap_end(dup);
	longer.args = args;
	longer.more[1] = 1L << 56;
	is(snap2(&longer.args, sizeof(longer)), -E2BIG, "a longer structure, its last byte not zero");

	for (bit = 1; bit < 64; bit++) {
		args.flags = 1ULL << bit;
		wrong += snap2(&args, sizeof(args)) != -EINVAL;
		args.flags |= PROC_SNAP_PIDFD;
		wrong += snap2(&args, sizeof(args)) != -EINVAL;
	}
	is(wrong, 0, "each unknown flag");
	forget_child_signal();

	memset(&args, 0, sizeof(args));
	args.target = target;
	args.nr_threads = 1;
	is(snap2(&args, sizeof(args)), -EINVAL, "room for threads, and no threads");
	args.threads = 8;
	is(snap2(&args, sizeof(args)), -EFAULT, "threads at 8");
	args.threads = -4096ULL;
	is(snap2(&args, sizeof(args)), -EFAULT, "threads in the kernel");
	half = (void *)(page + PAGE - sizeof(*half) / 2);
	args.threads = (uintptr_t)half;
	is(snap2(&args, sizeof(args)), -EFAULT, "threads over the edge");
	args.threads = (uintptr_t)(page + PAGE - sizeof(*half));
	args.nr_threads = UINT_MAX;
	dup = snap2(&args, sizeof(args));
	ok(dup > 0 && args.nr_threads == 1, "room is what is said, used is what is needed");
	snap_end(dup);
	forget_child_signal();

	readonly = (void *)page;
	memset(readonly, 0, sizeof(*readonly));
	readonly->target = target;
	mprotect(page, PAGE, PROT_READ);
	is(snap2(readonly, sizeof(*readonly)), -EFAULT, "structure that cannot be written");
	is(child_signal(), 0, "no SIGCHLD from calls that failed");
	is(children(getpid()), 1, "no child from calls that failed");

	memset(&args, 0, sizeof(args));
	args.target = target;
	args.moment_ns = args.pages_shared = args.regions_left_out = ~0ULL;
	dup = snap2(&args, sizeof(args));
	ok(dup > 0 && args.moment_ns != ~0ULL && args.pages_shared != ~0ULL &&
	   args.regions_left_out == 0 && args.nr_threads == 1, "what is out is written, whatever was in");
	snap_end(dup);
	end_target(target);
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
