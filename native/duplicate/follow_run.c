// SPDX-License-Identifier: MIT
/* Seeing to calls that are followed: those that have stopped, and those that are due. */
#include <sys/wait.h>
#include "call_stops.h"
#include "first_thread.h"

/* News comes by SIGCHLD; should some be lost, this is how long it takes to find out. */
#define LOOK_NS		PS_NSEC_PER_SEC

/* For so long a thread gives way to the first one of its process, and so often it is looked at then. */
#define KEEP_NS		(10 * 1000 * 1000LL)
#define KEPT_LOOK_NS	(50 * 1000LL)

/* Whatever has happened to it; false: nothing. */
static bool see_to(struct followed *followed)
{
	pid_t got;

	if (!followed->kept_ns) {
		got = waitpid(followed->tid, &followed->kept_status, __WALL | WNOHANG);
		if (!got)
			return false;
		if (got < 0 || !WIFSTOPPED(followed->kept_status)) {
			ps_drop_followed(followed);	/* killed, or another thread's exec() has taken its tid */
			return true;
		}
		followed->kept_ns = ps_now_ns() + KEEP_NS;
	}
	if (ps_now_ns() < followed->kept_ns && ps_is_for_first(followed->pid, followed->tid))
		return false;
	go_on_from_stop(followed);
	return true;
}

/* Its time is over; it is not interrupted while it gives way. */
static bool is_due(const struct followed *followed, int64_t now)
{
	static pid_t asked_pid;
	static int64_t asked_ns;
	static bool for_first;

	if (followed->deadline_ns > now)
		return false;
	/* Of many that are due at once one is asked. */
	if (asked_pid != followed->pid || asked_ns != now) {
		for_first = ps_is_for_first(followed->pid, 0);
		asked_pid = followed->pid;
		asked_ns = now;
	}
	return !for_first || followed->tid == followed->pid || now - followed->deadline_ns > KEEP_NS;
}

void ps_follow_run(void)
{
	int64_t now = ps_now_ns();

	if (ps_all_are_held())
		return;
	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		while (followed->tid && !followed->held && see_to(followed))
			;
		if (followed->tid && !followed->held && !followed->due && is_due(followed, now)) {
			followed->due = true;
			if (!followed->entering)	/* else when it is in its call */
				interrupt(followed);
		}
	}
}

int64_t ps_follow_next_ns(void)
{
	int64_t now = ps_now_ns(), next = ps_any_followed() ? now + LOOK_NS : INT64_MAX;
	bool gives_way = false;

	for (const struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		if (followed->held)
			continue;
		if (!followed->due && followed->deadline_ns < next)
			next = followed->deadline_ns;
		gives_way |= followed->kept_ns || (!followed->due && followed->deadline_ns <= now);
	}
	if (gives_way)
		next = now + KEPT_LOOK_NS;
	return next;
}
