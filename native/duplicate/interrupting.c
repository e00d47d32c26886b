// SPDX-License-Identifier: MIT
/* Interrupting threads, and waiting until they are in their stop. */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "deaths.h"
#include "interrupting.h"
#include "late.h"
#include "listing.h"
#include "supervised.h"
#include "task_file.h"
#include "wait.h"
#include "willing.h"

/* No thread is waited for longer than this while there may be news of another. */
#define TURN_NS		(2 * 1000 * 1000LL)

/* For how long threads that are stopped may wait for the others: those take their time even where all are willing. */
int64_t limit_ns(const struct ps_stop *stop)
{
	return stop->limit_ns + stop->threads * PS_STOP_LIMIT_THREAD_NS;
}

/*
 * Wait for an interrupted thread to stop; signals that come first are delivered
 * first. Such a stop may have begun as early as the thread was seized.
 */
int await_stop(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns)
{
	int err, status;

	for (;;) {
		err = ps_wait_stop(thread->tid, timeout_ns, stop->spin_ns, &status);
		if (err == -ESRCH && rename_first(stop, thread))
			continue;
		if (err)
			return err;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		if (thread->seized_ns && thread->seized_ns < stop->first_ns)
			stop->first_ns = thread->seized_ns;
		if (ps_follow_pass(thread->tid, status))
			continue;
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);	/* again: a stop may clear one that is pending */
		/* Signal-delivery stop: the interruption is still pending and stops the thread before its handler runs. */
		ptrace(PTRACE_CONT, thread->tid, 0,
			(long)WSTOPSIG(status)); /* fails where it was killed: its death is waited for */
	}
	thread->stopped = true;
	return 0;
}

/*
 * Signals stop a seized thread that is not interrupted yet, as it is to run on
 * while others are waited for: pass them on.
 */
static void pass_signals(struct ps_stop *stop, struct ps_thread *thread)
{
	int status;

	if (ps_followed(thread->tid) || waitpid(thread->tid, &status, __WALL | WNOHANG) != thread->tid ||
		!WIFSTOPPED(status))
		return;
	if (thread->seized_ns < stop->first_ns)
		stop->first_ns = thread->seized_ns;
	if (status >> 16 != PTRACE_EVENT_STOP)
		ptrace(PTRACE_CONT, thread->tid, 0, (long)WSTOPSIG(status));
	else if (WSTOPSIG(status) == SIGTRAP)		/* SIGCONT has come */
		ptrace(PTRACE_CONT, thread->tid, 0, 0L);
	else						/* stopped by a signal, with all of its process */
		ptrace(PTRACE_LISTEN, thread->tid, 0, 0);
}

int ps_wait_running(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns, int *status)
{
	int64_t start = ps_now_ns(), turn;
	int err;

	do {
		turn = ps_now_ns();
		err = ps_wait_stop(thread->tid, TURN_NS, stop->spin_ns, status);
		/* The long spin is for all waits of a stop together: others may have no CPU but this. */
		if (stop->spin_ns > PS_SHORT_SPIN_NS)
			stop->spin_ns -= ps_now_ns() - turn;
		if (err != -ETIMEDOUT)
			return err;
		note_deaths(stop, thread);
	} while (ps_now_ns() - start < timeout_ns);
	return -ETIMEDOUT;
}

static int did_not_stop(const struct ps_stop *stop, pid_t tid, int64_t waited_ns)
{
	char wchan[64];

	wchan_of(stop->pid, tid, wchan, sizeof(wchan));
	return ps_fail(-ETIMEDOUT,
		"thread %d of process %d did not stop within %lld ms (state %c, in %s): it waits in the kernel, is ending, "
		"or does not get to run; try again later, or allow more (--max-stop)",
		tid, stop->pid, (long long)(waited_ns / 1000000), task_state(stop->pid, tid) ?: 'X', wchan);
}

/*
 * A first thread that ends before its stop never comes to it, and its tracer is not told of its end as long as others
 * live (kernel/exit.c, delay_group_leader()): that is noted when it can be (late.c), so that its parent gets to know.
 */
static bool ended_unseen(const struct ps_stop *stop, const struct ps_thread *thread)
{
	return thread->tid == stop->pid && stop->threads > 1 && is_dead(stop->pid, thread->tid);
}

/*
 * In turns: a thread that calls exec() or exit_group() kills the others and does
 * not stop before their tracer has taken note of each one's death.
 */
static int await_all(struct ps_stop *stop)
{
	int64_t start = ps_now_ns(), stopped_ns = 0, now;
	bool again = false, over = false;
	pid_t missing;

	do {
		missing = 0;
		for (int i = 0; i < stop->threads;) {
			struct ps_thread *thread = &stop->thread[i];
			int err = 0;

			over = over || (stopped_ns && ps_now_ns() - stop->first_ns > limit_ns(stop));
			if (thread->interrupted && !thread->stopped)
				err = await_stop(stop, thread, again || over ? 0 : TURN_NS);
			else if (thread->seized && !thread->interrupted)
				pass_signals(stop, thread);
			else if (thread->stopped && again && has_died(thread))
				err = -ESRCH;
			if (thread->stopped && !stopped_ns)
				stopped_ns = ps_now_ns();
			if (err == -ETIMEDOUT && ended_unseen(stop, thread)) {
				ps_follow_ended(thread->tid);
				ps_add_late(stop->pid, thread);
				forget_ended(stop, i);
				continue;
			}
			if (err == -ETIMEDOUT)
				missing = thread->tid;
			if (err && err != -ETIMEDOUT) {
				ps_follow_ended(thread->tid);
				forget_thread(stop, i);
			} else {
				i++;
			}
		}
		now = ps_now_ns();
		/* Nobody waits for a thread that is the only one. */
		over = over || (stopped_ns && now - stop->first_ns > limit_ns(stop));
		if (missing && (over || now - start > stop->timeout_ns))
			return did_not_stop(stop, missing, now - start);
		if (missing)
			ps_nap();
		again = true;
	} while (missing);
	return 0;
}

static enum turn turn_of(const struct ps_stop *stop, const struct ps_thread *thread)
{
	return thread->tid == stop->pid ? FIRST_THREAD : thread->asleep ? ASLEEP : BUSY;
}

int interrupt_new(struct ps_stop *stop, enum turn turn)
{
	bool any = false;

	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (!thread->seized || thread->interrupted || turn_of(stop, thread) != turn)
			continue;
		thread->interrupted = any = true;
		ps_follow_hold(thread->tid);
		ps_await_answer(stop->pid, thread,
			stop->first_ns ? stop->first_ns + limit_ns(stop) - ps_now_ns() : stop->timeout_ns,
			stop->spin_ns > PS_SHORT_SPIN_NS);
		ps_confirm_wait(stop->pid, thread);
		if (!stop->first_ns)
			stop->first_ns = ps_now_ns();
		ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
	}
	return any ? await_all(stop) : 0;
}
