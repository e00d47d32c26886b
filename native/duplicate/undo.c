// SPDX-License-Identifier: MIT
#include <errno.h>
#include <sys/ptrace.h>
#include "interrupting.h"
#include "late.h"
#include "listing.h"
#include "registers.h"
#include "release.h"
#include "undo.h"
#include "wait.h"

/* Let go of those that are stopped, as they were; the others stay in the list while they are pending. */
static void undo(struct ps_stop *stop)
{
	struct ps_calls none = { 0 }, *calls = stop->calls ? stop->calls : &none;

	note_registers(stop);
	for (int i = 0; i < stop->threads; i++)
		if (stop->thread[i].stopped)
			ps_mend_call(stop->pid, &stop->thread[i], calls);
	let_threads_go(stop, -1);
	ps_restore_cpu();
	for (int i = stop->threads - 1; i >= 0; i--) {
		struct ps_thread *thread = &stop->thread[i];

		/* Killed in its stop: an exec() waits until its death, and that of all the others, is noted. */
		thread->pending |= thread->stopped;
		thread->stopped = false;
		if (!thread->pending)
			forget_thread(stop, i);
	}
}

/*
 * Where some did not stop in time, an interruption cannot be taken back: the
 * others go on, and each of these is let go when it stops, be it later than
 * @until_ns (late.c).
 */
void undo_all(struct ps_stop *stop, int64_t until_ns)
{
	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		/* Those that were to come last: only a stopped thread can be let go. */
		if (thread->seized && !thread->interrupted) {
			thread->interrupted = true;
			ps_follow_hold(thread->tid);
			ptrace(PTRACE_INTERRUPT, thread->tid, 0, 0);
		}
		thread->pending = thread->interrupted && !thread->stopped;
	}
	undo(stop);
	if (stop->first_ns)
		stop->undone_ns += ps_now_ns() - stop->first_ns;
	while (stop->threads && ps_now_ns() < until_ns) {
		for (int i = stop->threads - 1; i >= 0; i--) {
			int err = await_stop(stop, &stop->thread[i], 0);

			if (!err)
				stop->thread[i].pending = false;
			else if (err != -ETIMEDOUT) {
				ps_follow_ended(stop->thread[i].tid);
				forget_thread(stop, i);
			}
		}
		undo(stop);
		if (stop->threads)
			ps_nap();
	}
	for (int i = 0; i < stop->threads; i++)
		ps_add_late(stop->pid, &stop->thread[i]);
	stop->threads = 0;
}
