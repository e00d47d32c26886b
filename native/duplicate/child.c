// SPDX-License-Identifier: MIT
/* The child that clone() has made in the target: found, held as the target was at that moment, never run. */
#include <errno.h>
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
#include "child.h"
#include "preflight/small_file.h"

static bool is_own_thread(const struct injection *in, pid_t pid)
{
	for (int i = 0; i < in->stop.threads; i++)
		if (in->stop.thread[i].tid == pid)
			return true;
	return false;
}

static bool is_ours(const struct injection *in, pid_t pid)
{
	struct ps_identity identity;

	return !is_own_thread(in, pid) && !ps_identify(pid, &identity) && identity.tracer == gettid();
}

pid_t ps_find_child_now(const struct injection *in, long inner_pid)
{
	char path[64], pids[65536];
	char *last;

	if (is_ours(in, inner_pid))
		return inner_pid;
	/* In another pid namespace: the thread's youngest child, in our pids. */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", in->target, in->stop.thread[0].tid);
	if (ps_small_read(pids, sizeof(pids), "%s", path) <= 1)
		return 0;
	pids[strlen(pids) - 1] = 0;
	last = strrchr(pids, ' ');
	last = last ? last + 1 : pids;
	return is_ours(in, atoi(last)) ? atoi(last) : 0;
}

pid_t ps_find_child(const struct injection *in, long inner_pid)
{
	pid_t found = ps_find_child_now(in, inner_pid);

	if (found)
		return found;
	for (int64_t start = ps_now_ns(); ps_now_ns() - start < in->timeout_ns + PS_NSEC_PER_SEC;) {
		siginfo_t info = { 0 };

		if (!waitid(P_ALL, 0, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL) && info.si_pid &&
		    !is_own_thread(in, info.si_pid))
			return info.si_pid;
	}
	return 0;
}

/*
 * The child shares the target's table of descriptors: if the target ended or
 * called exec(), it would keep them open. The only system call that it makes.
 */
static void drop_files(const struct ps_duplicate *duplicate, const struct injection *in)
{
	struct user_regs_struct regs = in->stop.thread[0].general;

	regs.rip = in->instruction;
	regs.rax = SYS_close_range;
	regs.orig_rax = -1;
	regs.rdi = 0;
	regs.rsi = ~0U;
	regs.rdx = CLOSE_RANGE_UNSHARE;
	regs.eflags &= ~TRAP_FLAG;
	if (!ptrace(PTRACE_SETREGS, duplicate->pid, 0, &regs) && !ps_next_call_stop(duplicate->pid, in->timeout_ns))
		ps_next_call_stop(duplicate->pid, in->timeout_ns);
}

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

	if (!thread->rseq_bytes || process_vm_readv(duplicate->pid, &local, 1, &remote, 1, 0) != (ssize_t)thread->rseq_bytes ||
	    !memcmp(now, thread->rseq, thread->rseq_bytes))
		return;
	local.iov_base = (void *)thread->rseq;
	if (process_vm_writev(duplicate->pid, &local, 1, &remote, 1, 0) < 0)
		return;		/* a region that is read-only by now: the copy then shows what the kernel wrote */
}

void ps_offer_to_oom_killer(pid_t pid)
{
	char path[48];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1000", 4) != 4)
		ps_fail(-EACCES, "the duplicate %d keeps its oom_score_adj", pid);
	close(fd);
}

int ps_hold_child(struct ps_duplicate *duplicate, const struct injection *in, int cpu)
{
	struct sched_param other = { 0 };
	cpu_set_t cpus;
	int err, status;

	ps_offer_to_oom_killer(duplicate->pid);
	/* It has the target's CPU and priority, and would die with them, in the target's way. */
	sched_setscheduler(duplicate->pid, SCHED_OTHER, &other);
	if (cpu >= 0) {
		CPU_ZERO(&cpus);
		CPU_SET(cpu, &cpus);
		sched_setaffinity(duplicate->pid, sizeof(cpus), &cpus);
	}
	err = ps_wait_stop(duplicate->pid, in->timeout_ns + PS_NSEC_PER_SEC, false, &status);
	if (err)
		return err;
	ptrace(PTRACE_SETOPTIONS, duplicate->pid, 0, in->options | PTRACE_O_EXITKILL);
	drop_files(duplicate, in);
	ptrace(PTRACE_SETREGS, duplicate->pid, 0, &in->stop.thread[0].general);
	ptrace(PTRACE_SETSIGMASK, duplicate->pid, sizeof(in->mask), &in->mask);
	restore_rseq(duplicate, &in->stop.thread[0]);
	ps_at(PS_STEP_HELD);
	return 0;
}

void ps_kill_child(pid_t pid)
{
	if (kill(pid, SIGKILL))
		ptrace(PTRACE_KILL, pid, 0, 0);
}

void ps_end_stray_child(void)
{
	int64_t start = ps_now_ns();
	int status;

	while (ps_now_ns() - start < PS_NSEC_PER_SEC) {
		siginfo_t info = { 0 };

		if (waitid(P_ALL, 0, &info, WSTOPPED | WEXITED | WNOHANG | WNOWAIT | __WALL))
			return;		/* there is none */
		if (!info.si_pid)
			continue;
		ps_kill_child(info.si_pid);
		waitpid(info.si_pid, &status, __WALL | WNOHANG);
	}
}
