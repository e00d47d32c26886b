// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/ptrace.h>
#include <time.h>
#include "first_thread.h"
#include "task_file.h"

#define GOING_NS	(1000 * 1000LL)
#define SIGNALS_NS	(2 * 1000 * 1000LL)
/* The target runs meanwhile, but for one thread. */
#define FOLLOWED_NS	(10 * 1000 * 1000LL)
/* On a CPU for so long, it has come from its stop to the code of signals, which is the next thing it does. */
#define LOOK_NS		(20 * 1000LL)

/* Signals that were sent to the process, and that @thread, which is stopped, sees waiting. */
static bool signals_wait(const struct ps_thread *thread)
{
	const struct __ptrace_peeksiginfo_args first = { .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 1 };
	siginfo_t info;

	return ptrace(PTRACE_PEEKSIGINFO, thread->tid, &first, &info) > 0;
}

static bool is_asleep(pid_t pid)
{
	char text[512], *end;

	read_task_file(pid, pid, "stat", text, sizeof(text));
	end = strrchr(text, ')');
	return !end || !strchr("RDt", end[2]);
}

/* Of those sent to the process, is there one that the first thread takes when it gets to run? */
static bool first_has_signals(pid_t pid)
{
	char status[4096];

	read_task_file(pid, pid, "status", status, sizeof(status));
	return *status && task_number(status, "\nShdPnd:", 16) & ~task_number(status, "\nSigBlk:", 16);
}

void ps_leave_signals_to_first(pid_t pid, pid_t tid)
{
	const struct timespec time = { .tv_nsec = LOOK_NS };
	int64_t start = ps_now_ns();

	/* Not ps_sleep(): that sees to the threads that are followed, and this is a part of it. */
	while (tid != pid && first_has_signals(pid) && ps_now_ns() - start < FOLLOWED_NS)
		nanosleep(&time, NULL);
}

int64_t ps_before_first(const struct ps_stop *stop)
{
	return task_slices(stop->pid, stop->pid);
}

void ps_await_first(const struct ps_stop *stop, const struct ps_thread *other, int64_t before)
{
	int64_t start = ps_now_ns(), waited = 0;
	bool gone = false, ran = false;

	for (; other->stopped && waited < SIGNALS_NS; waited = ps_now_ns() - start) {
		/* One that is followed stops once more, at its call's beginning. */
		gone = gone || waited > GOING_NS || is_asleep(stop->pid) || (ran && !ps_followed(stop->pid));
		if (gone && !signals_wait(other))
			break;
		ran = task_slices(stop->pid, stop->pid) != before;
		ps_sleep(LOOK_NS);
	}
}
