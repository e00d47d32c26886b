// SPDX-License-Identifier: MIT
/* Stopping all threads of a process: ptrace(2). */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "deaths.h"
#include "interrupting.h"
#include "late.h"
#include "listing.h"
#include "registers.h"
#include "seize.h"
#include "undo.h"
#include "willing.h"

/* What has ended needs a moment to be gone from the list. */
#define END_NS		(20 * 1000LL)

/* On a machine that is busy a stop may take too long by chance, and another does not. */
#define MAX_STOPS	4

void ps_prepare_stop(struct ps_stop *stop, struct ps_thread *room, pid_t pid, int64_t timeout_ns, int64_t limit_ns)
{
	*stop = (struct ps_stop){
		.pid = pid, .timeout_ns = timeout_ns, .limit_ns = limit_ns > 0 ? limit_ns : PS_STOP_LIMIT_NS,
		.pidfd = -1, .thread = room,
	};
}

/* -ESRCH: another process has the pid now. */
static int check_identity(const struct ps_stop *stop)
{
	if (stop->pidfd < 0 || !syscall(SYS_pidfd_send_signal, stop->pidfd, 0, NULL, 0) || errno == EPERM)
		return 0;
	return ps_fail(-ESRCH, "process %d has ended", stop->pid);
}

static int seize_new(struct ps_stop *stop, int first)
{
	int err = 0;

	ps_begin_seizing(
		stop, ps_now_ns() + (stop->first_ns ? stop->first_ns + limit_ns(stop) - ps_now_ns() : stop->timeout_ns));
	for (int i = first; i < stop->threads && !err;) {
		struct ps_thread *thread = &stop->thread[i];

		if (ps_is_late(thread->tid) && is_dead(stop->pid, thread->tid))
			err = -ESRCH;
		else if (ps_is_late(thread->tid))
			err = ps_fail(-EBUSY,
				"thread %d of process %d has still not come to the stop of an earlier try: try again later",
				thread->tid, stop->pid);
		else if (!ps_followed(thread->tid))
			err = ps_seize(stop, thread);
		else if (ps_follow_is_held(thread->tid))
			err = ps_fail(-EBUSY, "thread %d of process %d is in another stop", thread->tid, stop->pid);
		if (err == -ESRCH) {	/* it ended, or is a leader that did: a zombie has no registers */
			forget_ended(stop, i);
			err = 0;
		} else if (!err) {
			thread->seized = true;
			i++;
		}
	}
	ps_end_seizing();
	return err;
}

/* One turn: the threads that are new are looked at, seized and stopped; how many were new, or -errno. */
static int stop_new(struct ps_stop *stop)
{
	int first = stop->threads, found = list_new(stop), err = found < 0 ? found : 0, failed = 0;

	if (!err && stop->threads > first && !stop->first_ns)
		err = await_willing(stop, first);
	if (!err)
		err = check_identity(stop);
	if (!err)
		err = seize_new(stop, first);
	/* One that had ended is new if it is a thread again: exec() by another has made it the first one. */
	found = found > stop->threads - first ? found : stop->threads - first;
	/* Seized is its struct, not its number: if the process still is the same one now, it was then. */
	if (!err)
		err = check_identity(stop);
	/* After a failure too: only a stopped thread can be let go. */
	for (enum turn turn = BUSY; turn < TURNS && !failed; turn++)
		failed = interrupt_new(stop, turn);
	return err ?: failed ?: found;
}

static int stop_once(struct ps_stop *stop)
{
	int64_t start = ps_now_ns();
	int err, got;
	bool more;

	begin_listing();
	/*
	 * A thread that is not stopped yet may start another, and end before it is
	 * seized. Workers come and go by themselves: their number may be another now.
	 */
	do {
		got = stop_new(stop);
		err = got < 0 ? got : 0;
		more = !err && ((got && stop->workers) || !all_are_stopped(stop));
		if (more && !got) {
			forget_dead(stop);
			ps_sleep(END_NS);
		}
		if (more && !stop->first_ns && ps_now_ns() - start > stop->timeout_ns)
			err = ps_fail(-ETIMEDOUT, "process %d is ending, and does not come to its end", stop->pid);
		else if (more && stop->first_ns && ps_now_ns() - stop->first_ns > limit_ns(stop))
			err = ps_fail(-ETIMEDOUT,
				"process %d makes threads so fast that they could not be stopped within %lld ms: try again later",
				stop->pid, (long long)(limit_ns(stop) / 1000000));
	} while (more && !err);
	if (!err && !stop->threads)
		err = ps_fail(-ESRCH, "process %d ended", stop->pid);
	got = note_registers(stop);
	return err ? err : got;
}

int ps_stop_all(struct ps_stop *stop)
{
	const struct ps_stop wanted = *stop;
	int64_t until_ns = ps_now_ns() + stop->timeout_ns, undone_ns = 0;
	char why[256];
	int err;

	for (int tries = 0; tries < MAX_STOPS; tries++) {
		*stop = wanted;
		stop->undone_ns = undone_ns;
		err = stop_once(stop);
		if (!err) {
			stop->first_ns -= undone_ns;
			return 0;
		}
		snprintf(why, sizeof(why), "%s", ps_error());
		undo_all(stop, until_ns);
		undone_ns = stop->undone_ns;
		ps_fail(err, "%s", why);
		if (err != -ETIMEDOUT || ps_now_ns() > until_ns)
			break;
	}
	return err;
}
