// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/ptrace.h>
#include <time.h>
#include "first_thread.h"
#include "task_file.h"

#define LIMIT_NS	(5 * 1000 * 1000LL)
/* The target runs meanwhile, but for one thread; and where it was in vain, others are not kept for so long after it. */
#define FOLLOWED_NS	(10 * 1000 * 1000LL)
#define IN_VAIN_NS	PS_NSEC_PER_SEC
/* On a CPU for so long, it has come from its stop to the code of signals, which is the next thing it does. */
#define LOOK_NS		(20 * 1000LL)

/* Signals that were sent to the process, and that a thread which is stopped sees waiting; negative: it is not stopped. */
static long signals_wait(pid_t tid)
{
	const struct __ptrace_peeksiginfo_args first = { .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 1 };
	siginfo_t info;

	return ptrace(PTRACE_PEEKSIGINFO, tid, &first, &info);
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

	if (!read_task_file(pid, pid, "status", status, sizeof(status)) || strstr(status, "\nState:\tZ") || strstr(status, "\nState:\tT"))
		return false;		/* it has ended, or all of its process is stopped */
	return task_number(status, "\nShdPnd:", 16) & ~task_number(status, "\nSigBlk:", 16);
}

void ps_leave_signals_to_first(pid_t pid, pid_t tid)
{
	const struct timespec time = { .tv_nsec = LOOK_NS };
	int64_t start = ps_now_ns();
	static int64_t in_vain;

	/* Most have none, and to ask a thread that is stopped costs a tenth of reading its process's state. */
	if (tid == pid || !signals_wait(tid) || (in_vain && start - in_vain < IN_VAIN_NS))
		return;
	/* Not ps_sleep(): that sees to the threads that are followed, and this is a part of it. */
	while (first_has_signals(pid)) {
		in_vain = ps_now_ns();
		if (in_vain - start > FOLLOWED_NS)
			return;
		nanosleep(&time, NULL);
	}
	in_vain = 0;
}

int64_t ps_before_first(const struct ps_stop *stop)
{
	return task_slices(stop->pid, stop->pid);
}

void ps_await_first(const struct ps_stop *stop, const struct ps_thread *other, int64_t before)
{
	int64_t start = ps_now_ns();
	bool gone = false, ran = false;

	while (other->stopped && ps_now_ns() - start < LIMIT_NS) {
		/* One that is followed stops once more, at its call's beginning. */
		gone = gone || is_asleep(stop->pid) || (ran && !ps_followed(stop->pid));
		if (gone && signals_wait(other->tid) <= 0)
			break;
		ran = task_slices(stop->pid, stop->pid) != before;
		ps_sleep(LOOK_NS);
	}
}
