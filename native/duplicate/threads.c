// SPDX-License-Identifier: MIT
/* Stopping all threads of a process, and letting them go as they were: ptrace(2). */
#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "procsnap.h"

/* A wait that spins is fastest, but needs a CPU of its own; after this long it sleeps. */
#define SPIN_NS		(50 * 1000 * 1000LL)
/* While the target lives, ptrace stops raise SIGCHLD in the tracer, which all its threads block. */
#define NAP_NS		(2 * 1000 * 1000LL)

int ps_wait_stop(pid_t tid, int64_t timeout_ns, int *status)
{
	const struct timespec nap = { .tv_nsec = NAP_NS };
	bool alone = sysconf(_SC_NPROCESSORS_ONLN) < 2;
	int64_t start = ps_now_ns(), waited = 0;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);

		if (got < 0)
			return -ESRCH;
		if (got > 0)
			return WIFSTOPPED(*status) ? 0 : -ESRCH;
		waited = ps_now_ns() - start;
		if (waited > timeout_ns)
			return -ETIMEDOUT;
		if (alone || waited > SPIN_NS)
			sigtimedwait(&child, NULL, &nap);
	}
}

static int seize(pid_t pid, pid_t tid)
{
	/*
	 * SUSPEND_SECCOMP, or a filter that kills on clone() kills the target; it
	 * wants CAP_SYS_ADMIN. Without it, only a target without a filter is taken.
	 */
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_SUSPEND_SECCOMP;
	struct ps_identity identity;

	if (!ptrace(PTRACE_SEIZE, tid, 0, options))
		return 0;
	if (errno == EPERM || errno == EINVAL) {
		if (ps_identify(tid, &identity))
			return -ESRCH;
		if (identity.state == 'Z' || identity.state == 'X')
			return -ESRCH;
		if (!ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD)) {
			if (!identity.seccomp)
				return 0;
			/* A seized thread that runs cannot be let go by hand: the calling thread must end. */
			return ps_fail(-EACCES, "process %d has a seccomp filter, and suspending it wants CAP_SYS_ADMIN: run as root", pid);
		}
	}
	if (errno == EPERM)
		return ps_fail(-EPERM, "no permission to trace process %d: run as root or with CAP_SYS_PTRACE, or lower kernel.yama.ptrace_scope", pid);
	return errno == ESRCH ? -ESRCH : ps_fail(-errno, "process %d cannot be traced: %s", pid, strerror(errno));
}

/* Interrupt @thread and wait until it stops; signals that come first are delivered first. */
static int await_stop(struct ps_stop *stop, struct ps_thread *thread)
{
	int err, status, event, sig;

	for (;;) {
		err = ps_wait_stop(thread->tid, stop->timeout_ns, &status);
		if (err)
			return err;
		sig = WSTOPSIG(status);
		event = status >> 16;
		if (event == PTRACE_EVENT_STOP)
			break;
		/* Signal-delivery stop: the interruption is still pending and stops the thread before its handler runs. */
		if (ptrace(PTRACE_CONT, thread->tid, 0, (long)sig))
			return -ESRCH;
	}
	thread->stopped = true;
	return 0;
}

static int find_thread(const struct ps_stop *stop, pid_t tid)
{
	for (int i = 0; i < stop->threads; i++)
		if (stop->thread[i].tid == tid)
			return i;
	return -1;
}

static void forget_thread(struct ps_stop *stop, int index)
{
	stop->thread[index] = stop->thread[--stop->threads];
}

/* Seize the threads that are not seized yet; how many that were. */
static int seize_new(struct ps_stop *stop)
{
	pid_t tids[PS_MAX_THREADS];
	int seized = 0, err, count = ps_list_threads(stop->pid, tids, PS_MAX_THREADS);

	for (int i = 0; i < count; i++) {
		if (find_thread(stop, tids[i]) >= 0)
			continue;
		err = seize(stop->pid, tids[i]);
		if (err == -ESRCH)	/* it ended, or is a leader that did: a zombie has no registers */
			continue;
		if (err)
			return err;
		stop->thread[stop->threads] = (struct ps_thread){ .tid = tids[i], .waited_call = -1, .waited_ns = -1 };
		ps_note_wait(stop->pid, &stop->thread[stop->threads++]);
		seized++;
	}
	return count < 0 ? count : seized;
}

static int interrupt_new(struct ps_stop *stop)
{
	int err;

	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (thread->interrupted)
			continue;
		if (!stop->first_ns)
			stop->first_ns = ps_now_ns();
		thread->interrupted = true;
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
	}
	for (int i = 0; i < stop->threads;) {
		err = stop->thread[i].stopped ? 0 : await_stop(stop, &stop->thread[i]);
		if (err == -ETIMEDOUT)
			return ps_fail(err, "thread %d of process %d did not stop within %lld ms: it waits in the kernel "
				       "(vfork(2), or a device or file server that does not answer); try again later",
				       stop->thread[i].tid, stop->pid, (long long)(stop->timeout_ns / 1000000));
		if (err)
			forget_thread(stop, i);
		else
			i++;
	}
	return 0;
}

int ps_stop_all(struct ps_stop *stop, pid_t pid, int64_t timeout_ns)
{
	struct ps_thread *room = stop->thread;
	int err, seized;

	*stop = (struct ps_stop){ .pid = pid, .timeout_ns = timeout_ns, .thread = room };
	/* A thread that is not stopped yet may start another: until a listing has nothing new. */
	do {
		seized = err = seize_new(stop);
		if (err >= 0)
			err = interrupt_new(stop);
	} while (!err && seized);
	if (!err && !stop->threads)
		err = ps_fail(-ESRCH, "process %d ended", pid);
	for (int i = 0; !err && i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (ptrace(PTRACE_GETREGS, thread->tid, 0, &thread->general)) {
			err = ps_fail(-ESRCH, "process %d ended", pid);
		} else if (thread->general.cs != 0x33) {
			err = ps_fail(-ENOTSUP, "process %d runs 32-bit code: only 64-bit processes can be duplicated from outside", pid);
		} else {
			thread->mended = thread->general;
			ps_mend_rseq(thread);
		}
	}
	if (err)
		ps_release(stop, -1);
	return err;
}

void ps_release(struct ps_stop *stop, int except)
{
	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (i == except || !thread->stopped)
			continue;
		if (thread->settle)
			ps_settle_wait(stop->pid, thread);
		if (thread->changed)
			ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
		ptrace(PTRACE_DETACH, thread->tid, 0, 0);
		thread->stopped = false;
		if (thread->signal)
			syscall(SYS_tgkill, stop->pid, thread->tid, thread->signal);
	}
}

int ps_read_registers(const struct ps_stop *stop, struct ps_registers *out, int max)
{
	int count = 0;

	for (int i = 0; i < stop->threads && count < max; i++) {
		struct iovec area = { out[count].xstate, sizeof(out[count].xstate) };

		if (ptrace(PTRACE_GETREGSET, stop->thread[i].tid, NT_X86_XSTATE, &area))
			area.iov_len = 0;
		out[count].tid = stop->thread[i].tid;
		out[count].general = stop->thread[i].general;
		out[count++].xstate_bytes = area.iov_len;
	}
	return count;
}
