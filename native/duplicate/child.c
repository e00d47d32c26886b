// SPDX-License-Identifier: MIT
/* The child that clone() has made in the target: found, held as the target was at that moment, never run. */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "burial.h"
#include "child.h"
#include "injected_call.h"
#include "late.h"
#include "locks.h"
#include "wait.h"

static bool is_own_thread(const struct injection *in, pid_t pid)
{
	for (int i = 0; in && i < in->stop.threads; i++)
		if (in->stop.thread[i].tid == pid)
			return true;
	return false;
}

/* A tracee that has stopped or ended and is none that we know; 0: none has. */
static pid_t unknown_tracee(const struct injection *in)
{
	siginfo_t info = { 0 };

	if (waitid(P_ALL, 0, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL))
		return -1;
	if (!info.si_pid || is_own_thread(in, info.si_pid))
		return 0;
	/* Others come first in this list until somebody has seen to them. */
	if (ps_followed(info.si_pid)) {
		ps_follow_run();
		return 0;
	}
	if (ps_is_late(info.si_pid)) {
		ps_late_run();
		return 0;
	}
	if (ps_burying(info.si_pid)) {
		waitpid(info.si_pid, NULL, __WALL | WNOHANG);
		return 0;
	}
	return info.si_pid;
}

/*
 * One that this thread traces and that nobody knows: after a clone(), the child. To read of its tracer in /proc takes
 * twenty times as long, and the target may be waiting.
 */
static bool is_new(pid_t pid)
{
	siginfo_t info;

	return !ps_burying(pid) && !ps_followed(pid) && !ps_is_late(pid) &&
	       !waitid(P_PID, pid, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL | __WNOTHREAD);
}

/* Among the target's children, which not every kernel lists (CONFIG_PROC_CHILDREN); 0: not found. */
static pid_t child_of_ours(pid_t target, pid_t tid)
{
	char path[64];
	FILE *children;
	pid_t pid = 0, found = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", target, tid);
	children = fopen(path, "re");
	while (children && !found && fscanf(children, "%d", &pid) == 1)
		if (is_new(pid))
			found = pid;
	if (children)
		fclose(children);
	return found;
}

pid_t ps_find_child_now(const struct injection *in, long inner_pid)
{
	/* In a pid namespace that is a number of another process here, or of none. */
	if (!is_own_thread(in, inner_pid) && is_new(inner_pid))
		return inner_pid;
	return child_of_ours(in->target, in->stop.thread[0].tid);
}

pid_t ps_find_child(const struct injection *in, long inner_pid)
{
	pid_t pid = ps_find_child_now(in, inner_pid);

	if (pid)
		return pid;
	/* It is told of when it stops, which may take its time. */
	for (int64_t start = ps_now_ns(); ps_now_ns() - start < in->stop.limit_ns; ps_nap()) {
		pid = unknown_tracee(in);
		if (pid)
			return pid > 0 ? pid : 0;
	}
	return 0;
}

int ps_drop_files(const struct ps_duplicate *duplicate, int64_t timeout_ns)
{
	const long all[4] = { 0, ~0U, CLOSE_RANGE_UNSHARE, 0 };

	return ps_call_in_duplicate(duplicate, SYS_close_range, all, timeout_ns);
}

/* ---- what it would hold ---------------------------------------------------- */

/* Of one duplicate at a time. */
static struct locked_files locked;

struct holding {
	const struct ps_duplicate *duplicate;
	int64_t	timeout_ns;
	uint64_t start, end;		/* to be unmapped, not yet unmapped */
	int	regions;
};

static void unmap(struct holding *holding)
{
	const long range[4] = { holding->start, holding->end - holding->start, 0, 0 };

	if (holding->end > holding->start)
		ps_call_in_duplicate(holding->duplicate, SYS_munmap, range, holding->timeout_ns);
	holding->start = holding->end = 0;
}

static int collect(const struct ps_region *region, void *arg)
{
	struct holding *holding = arg;

	if (!region->shared && !ps_is_locked(&locked, region))
		return 0;
	holding->regions++;
	if (region->start != holding->end) {
		unmap(holding);
		holding->start = region->start;
	}
	holding->end = region->end;
	return 0;
}

int ps_drop_shared(const struct ps_duplicate *duplicate, int64_t timeout_ns)
{
	struct holding holding = { .duplicate = duplicate, .timeout_ns = timeout_ns };

	ps_find_locked_files(&locked);
	ps_for_regions(duplicate->pid, collect, &holding);
	unmap(&holding);
	return holding.regions;
}

/* ---- how it looks ---------------------------------------------------------- */

/*
 * Where it was moved to another CPU before it stopped, the kernel has written
 * that CPU's number into the duplicate's struct rseq, as it does for a thread
 * that runs. That is not what the target had at the moment: put back. The page
 * is the duplicate's own.
 */
static void restore_rseq(const struct ps_duplicate *duplicate, const struct ps_thread *thread)
{
	uint8_t now[sizeof(thread->rseq)];
	struct iovec local = { now, thread->rseq_bytes }, remote = { (void *)thread->rseq_address, thread->rseq_bytes };

	if (!thread->rseq_bytes ||
		process_vm_readv(duplicate->pid, &local, 1, &remote, 1, 0) != (ssize_t)thread->rseq_bytes ||
		!memcmp(now, thread->rseq, thread->rseq_bytes))
		return;
	local.iov_base = (void *)thread->rseq;
	if (process_vm_writev(duplicate->pid, &local, 1, &remote, 1, 0) < 0)
		return;		/* a region that is read-only by now: the copy then shows what the kernel wrote */
}

void ps_dress_child(const struct ps_duplicate *duplicate)
{
	ptrace(PTRACE_SETREGS, duplicate->pid, 0, &duplicate->first.general);
	ptrace(PTRACE_SETSIGMASK, duplicate->pid, sizeof(duplicate->mask), &duplicate->mask);
	restore_rseq(duplicate, &duplicate->first);
}

/* Whoever has to die for want of memory, in the target's cgroup: rather the duplicate. */
void ps_offer_to_oom_killer(pid_t pid)
{
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1000", 4) < 0) {
		/* Not ours to write: the watch of memory ends the duplicate in time, whatever the killer would choose. */
	}
	close(fd);
}

void ps_calm_child(pid_t pid)
{
	const struct sched_param other = { 0 };

	sched_setscheduler(pid, SCHED_OTHER, &other);
}

int ps_hold_child(struct ps_duplicate *duplicate, const struct injection *in, int cpu, int64_t timeout_ns, bool hurry)
{
	const struct sched_param first = { .sched_priority = 1 };
	cpu_set_t cpus;
	int err, status;

	ps_offer_to_oom_killer(duplicate->pid);
	/* It has the target's CPU and priority, and would die with them, in the target's way. */
	if (!hurry)
		ps_calm_child(duplicate->pid);
	else if (sched_getscheduler(duplicate->pid) == SCHED_OTHER)
		sched_setscheduler(duplicate->pid, SCHED_FIFO, &first);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		sched_setaffinity(duplicate->pid, sizeof(cpus), &cpus);
	}
	/* Asleep: it may need the very CPU that this thread would spin on. */
	err = ps_wait_stop(duplicate->pid, timeout_ns, 0, &status);
	if (!err)
		ptrace(PTRACE_SETOPTIONS, duplicate->pid, 0, in->options | PTRACE_O_EXITKILL);
	return err;
}

void ps_kill_child(pid_t pid)
{
	if (kill(pid, SIGKILL))
		ptrace(PTRACE_KILL, pid, 0, 0);
}

pid_t ps_stray_child(void)
{
	for (int64_t start = ps_now_ns(); ps_now_ns() - start < PS_NSEC_PER_SEC; ps_nap()) {
		pid_t pid = unknown_tracee(NULL);

		if (pid)
			return pid > 0 ? pid : 0;
	}
	return 0;
}

void ps_end_stray_child(void)
{
	int64_t start = ps_now_ns();

	while (ps_now_ns() - start < PS_NSEC_PER_SEC) {
		pid_t pid = unknown_tracee(NULL);

		if (pid < 0)
			return;		/* there is none */
		if (!pid) {
			ps_nap();
			continue;
		}
		ps_kill_child(pid);
		waitpid(pid, NULL, __WALL | WNOHANG);
	}
}
