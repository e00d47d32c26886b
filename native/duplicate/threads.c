// SPDX-License-Identifier: MIT
/* Stopping all threads of a process, and letting them go as they were: ptrace(2). */
#include <elf.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "procsnap.h"

/* A wait that spins is fastest, but needs a CPU of its own; after this long it sleeps. */
#define SPIN_NS		(50 * 1000 * 1000LL)
/* While the target lives, ptrace stops raise SIGCHLD in the tracer, which all its threads block. */
#define NAP_NS		(2 * 1000 * 1000LL)
/* No thread is waited for longer than this while there may be news of another. */
#define TURN_NS		(2 * 1000 * 1000LL)
#define ALARM_US	10000

static void nap(void)
{
	const struct timespec time = { .tv_nsec = NAP_NS };
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigtimedwait(&child, NULL, &time);
}

int ps_wait_stop(pid_t tid, int64_t timeout_ns, bool spin, int *status)
{
	bool alone = sysconf(_SC_NPROCESSORS_ONLN) < 2;
	int64_t start = ps_now_ns(), waited = 0;

	for (;;) {
		pid_t got = waitpid(tid, status, __WALL | WNOHANG);

		if (got < 0)
			return -ESRCH;
		if (got > 0)
			return WIFSTOPPED(*status) ? 0 : -ESRCH;
		waited = ps_now_ns() - start;
		if (waited > timeout_ns)
			return -ETIMEDOUT;
		if (!spin || alone || waited > SPIN_NS)
			nap();
	}
}

static int seize(pid_t pid, pid_t tid)
{
	struct ps_identity identity;
	int err;

	/* Again: exec() by another thread ends the first one, and then takes over its tid. */
	for (int tries = 0; tries < 3; tries++) {
		if (!ptrace(PTRACE_SEIZE, tid, 0, PTRACE_O_TRACESYSGOOD))
			return 0;
		err = -errno;
		if (ps_identify(tid, &identity) || identity.state == 'Z' || identity.state == 'X')
			return -ESRCH;
		if (err != -EPERM || identity.tracer)
			break;
	}
	if (err == -EPERM && identity.tracer)
		return ps_fail(-EBUSY, "process %d is traced by process %d (a debugger, strace?): end that first", pid, identity.tracer);
	if (err == -EPERM)
		return ps_fail(err, PS_NO_PERMISSION, pid);
	return err == -ESRCH ? err : ps_fail(err, "process %d cannot be traced: %s", pid, strerror(-err));
}

/*
 * PTRACE_SEIZE waits while the target is in exec(), and exec() waits until all
 * other threads are gone, which those that we have seized are when we have taken
 * note of their deaths: so this is done, by an alarm, while we wait.
 */
static struct ps_stop *seizing;

static void take_note(int sig)
{
	int saved = errno;

	(void)sig;
	for (int i = 0; i < seizing->threads; i++) {
		siginfo_t info = { 0 };

		/* Of a tracee, wait(2) reports stops whatever is asked for: this looks, and leaves a stop for who waits for it. */
		if (!waitid(P_PID, seizing->thread[i].tid, &info, WEXITED | WNOHANG | WNOWAIT | __WALL) && info.si_pid &&
		    info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED)
			waitid(P_PID, seizing->thread[i].tid, &info, WEXITED | WNOHANG | __WALL);
	}
	errno = saved;
}

static void set_alarm(struct ps_stop *stop, bool on)
{
	const struct itimerval time = { .it_value.tv_usec = on ? ALARM_US : 0, .it_interval.tv_usec = on ? ALARM_US : 0 };
	struct sigaction action = { .sa_handler = take_note };
	sigset_t alarm;

	seizing = stop;
	sigemptyset(&alarm);
	sigaddset(&alarm, SIGALRM);
	if (on)
		sigaction(SIGALRM, &action, NULL);
	pthread_sigmask(on ? SIG_UNBLOCK : SIG_BLOCK, &alarm, NULL);
	setitimer(ITIMER_REAL, &time, NULL);
}

/* Wait for an interrupted thread to stop; signals that come first are delivered first. */
static int await_stop(struct ps_thread *thread, int64_t timeout_ns)
{
	int err, status;

	for (;;) {
		err = ps_wait_stop(thread->tid, timeout_ns, true, &status);
		if (err)
			return err;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		/* Signal-delivery stop: the interruption is still pending and stops the thread before its handler runs. */
		if (ptrace(PTRACE_CONT, thread->tid, 0, (long)WSTOPSIG(status)))
			return -ESRCH;
	}
	thread->stopped = true;
	return 0;
}

/* Was it killed in its stop? Then this takes note of its death, and its tid may go. */
static bool has_died(const struct ps_thread *thread)
{
	int status;
	pid_t got = waitpid(thread->tid, &status, __WALL | WNOHANG);

	return got < 0 || (got > 0 && !WIFSTOPPED(status));
}

/* Nothing but death ends a ptrace stop behind its tracer's back, and it comes to all threads: one shows it. */
static void note_deaths(struct ps_stop *stop, const struct ps_thread *except)
{
	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (thread == except || !thread->stopped)
			continue;
		if (!has_died(thread))
			return;
		thread->stopped = false;
	}
}

int ps_wait_running(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns, int *status)
{
	int64_t start = ps_now_ns(), waited = 0;
	int err;

	do {
		err = ps_wait_stop(thread->tid, TURN_NS, waited < SPIN_NS, status);
		if (err != -ETIMEDOUT)
			return err;
		note_deaths(stop, thread);
		waited = ps_now_ns() - start;
	} while (waited < timeout_ns);
	return -ETIMEDOUT;
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
		if (stop->threads == PS_MAX_THREADS)
			return ps_fail(-E2BIG, "process %d has more than %d threads", stop->pid, PS_MAX_THREADS);
		err = ps_followed(tids[i]) ? 0 : seize(stop->pid, tids[i]);
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

static int did_not_stop(const struct ps_stop *stop, pid_t tid)
{
	return ps_fail(-ETIMEDOUT, "thread %d of process %d did not stop within %lld ms: it waits in the kernel "
		       "(vfork(2), or a device or file server that does not answer), or is ending; try again later",
		       tid, stop->pid, (long long)(stop->timeout_ns / 1000000));
}

/*
 * In turns: a thread that calls exec() or exit_group() kills the others and does
 * not stop before their tracer has taken note of each one's death.
 */
static int await_all(struct ps_stop *stop)
{
	int64_t start = ps_now_ns(), waited = 0;
	pid_t missing;

	do {
		missing = 0;
		for (int i = 0; i < stop->threads;) {
			struct ps_thread *thread = &stop->thread[i];
			int err = 0;

			if (!thread->stopped)
				err = await_stop(thread, waited < SPIN_NS ? TURN_NS : 0);
			else if (waited && has_died(thread))
				err = -ESRCH;
			if (err == -ETIMEDOUT)
				missing = thread->tid;
			if (err && err != -ETIMEDOUT)
				forget_thread(stop, i);
			else
				i++;
		}
		waited = ps_now_ns() - start;
		if (missing && waited > stop->timeout_ns)
			return did_not_stop(stop, missing);
		if (missing && waited > SPIN_NS)
			nap();
	} while (missing);
	return 0;
}

static int interrupt_new(struct ps_stop *stop)
{
	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (thread->interrupted)
			continue;
		if (!stop->first_ns)
			stop->first_ns = ps_now_ns();
		thread->interrupted = true;
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
	}
	return await_all(stop);
}

static int note_registers(struct ps_stop *stop)
{
	int err = 0;

	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (!thread->stopped)
			continue;
		if (ptrace(PTRACE_GETREGS, thread->tid, 0, &thread->general)) {
			err = ps_fail(-ESRCH, "process %d ended, or called exec(), while it was being stopped", stop->pid);
		} else if (thread->general.cs != 0x33) {
			err = ps_fail(-ENOTSUP, "process %d runs 32-bit code: only 64-bit processes can be duplicated from outside", stop->pid);
		} else {
			thread->mended = thread->general;
			ps_mend_rseq(thread);
		}
	}
	return err;
}

/*
 * The links of /proc/PID/task are its threads, and two (fs/proc/base.c,
 * proc_task_getattr()): a quarter of the time of a listing, and the target
 * waits. A first thread that has ended still counts: then it is listed again.
 */
static int count_threads(pid_t pid)
{
	struct stat task;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	return stat(path, &task) ? -errno : (int)task.st_nlink - 2;
}

int ps_stop_all(struct ps_stop *stop, pid_t pid, int64_t timeout_ns)
{
	struct ps_thread *room = stop->thread;
	struct ps_calls calls = { 0 };
	int err, seized;

	*stop = (struct ps_stop){ .pid = pid, .timeout_ns = timeout_ns, .thread = room };
	/* A thread that is not stopped yet may start another: until there are no more than are stopped. */
	do {
		set_alarm(stop, true);
		seized = seize_new(stop);
		set_alarm(stop, false);
		err = interrupt_new(stop);	/* after a failure too: only a stopped thread can be let go */
		if (!err && seized < 0)
			err = seized;
	} while (!err && seized && count_threads(pid) != stop->threads);
	if (!err && !stop->threads)
		err = ps_fail(-ESRCH, "process %d ended", pid);
	seized = note_registers(stop);
	if (!err)
		err = seized;
	if (!err)
		return 0;
	for (int i = 0; i < stop->threads; i++)
		ps_mend_call(pid, &stop->thread[i], &calls);
	ps_release(stop, -1);
	return err;
}

void ps_release(struct ps_stop *stop, int except)
{
	int64_t start = ps_now_ns();
	int dead = 0;

	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (i == except || !thread->stopped)
			continue;
		if (thread->changed)
			ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
		if (thread->follow)
			ps_follow(stop->pid, thread);
		else if (!ptrace(PTRACE_DETACH, thread->tid, 0, 0))
			thread->stopped = false;
		if (thread->stopped)
			dead++;
	}
	/* Killed meanwhile. Their parent, or an exec() of theirs, waits until we have taken note. */
	while (dead && ps_now_ns() - start < stop->timeout_ns)
		for (int i = 0; i < stop->threads; i++)
			if (i != except && stop->thread[i].stopped && has_died(&stop->thread[i])) {
				stop->thread[i].stopped = false;
				dead--;
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
		out[count].skew_ns = out[count].flags = 0;
		out[count].general = stop->thread[i].general;
		out[count++].xstate_bytes = area.iov_len;
	}
	return count;
}
