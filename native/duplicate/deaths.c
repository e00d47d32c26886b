// SPDX-License-Identifier: MIT
#include <sys/wait.h>
#include "deaths.h"
#include "listing.h"

/* Was it killed in its stop? Then this takes note of its death, and its tid may go. */
bool has_died(const struct ps_thread *thread)
{
	int status;
	pid_t got = waitpid(thread->tid, &status, __WALL | WNOHANG);

	return got < 0 || (got > 0 && !WIFSTOPPED(status));
}

/* Nothing but death ends a ptrace stop behind its tracer's back, and it comes to all threads: one shows it. */
void note_deaths(struct ps_stop *stop, const struct ps_thread *except)
{
	for (int i = 0; i < stop->threads; i++) {
		struct ps_thread *thread = &stop->thread[i];

		if (thread == except || !thread->stopped)
			continue;
		if (!has_died(thread))
			return;
		thread->stopped = false;
		ps_follow_ended(thread->tid);
	}
}

void ps_note_deaths(struct ps_stop *stop)
{
	note_deaths(stop, NULL);
}

/* Killed by an exec() of a thread that was missed, which waits until their deaths are noted. */
void forget_dead(struct ps_stop *stop)
{
	for (int i = stop->threads - 1; i >= 0; i--)
		if (stop->thread[i].stopped && has_died(&stop->thread[i])) {
			ps_follow_ended(stop->thread[i].tid);
			forget_thread(stop, i);
		}
}
