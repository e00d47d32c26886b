// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/ptrace.h>
#include "first_thread.h"
#include "task_file.h"

#define LIMIT_NS	(20 * 1000 * 1000LL)
#define REAL_TIME_NS	(1000 * 1000LL)
/* On a CPU for so long, it has come from its stop to the code of signals, which is the next thing it does. */
#define LOOK_NS		(20 * 1000LL)

/* How many signals, of those sent to the process, a stopped thread sees waiting: 0 or 1; negative: it is not stopped.
 */
static long signals_wait(pid_t tid)
{
	const struct __ptrace_peeksiginfo_args first = { .flags = PTRACE_PEEKSIGINFO_SHARED, .nr = 1 };
	siginfo_t info;

	return ptrace(PTRACE_PEEKSIGINFO, tid, &first, &info);
}

/* Or has ended. */
static bool is_asleep(pid_t pid)
{
	char state = task_state(pid, pid);

	return state != 'R' && state != 'D' && state != 't';
}

static bool first_takes(pid_t pid)
{
	uint64_t waiting, blocked;
	char status[4096];

	if (!read_task_file(pid, pid, "status", status, sizeof(status)))
		return false;
	if (strstr(status, "\nState:\tZ") || strstr(status, "\nState:\tT"))
		return false;		/* it has ended, or all of its process is stopped */
	waiting = task_number(status, "\nShdPnd:", 16);
	blocked = task_number(status, "\nSigBlk:", 16);
	return waiting & ~blocked & ~(1ULL << (SIGKILL - 1));	/* that one is for all */
}

bool ps_is_for_first(pid_t pid, pid_t tid)
{
	/* Most have none, and to ask a thread that is stopped costs a tenth of reading the state of its process. */
	return tid != pid && signals_wait(tid) && first_takes(pid);
}

int64_t ps_before_first(const struct ps_stop *stop)
{
	return task_slices(stop->pid, stop->pid);
}

void ps_await_first(const struct ps_stop *stop, const struct ps_thread *other, int64_t before)
{
	int64_t start = ps_now_ns(), limit_ns = stop->real_time ? REAL_TIME_NS : LIMIT_NS;
	bool gone = false, ran = false;

	while (other->stopped && ps_now_ns() - start < limit_ns) {
		/* One that is followed stops once more, at its call's beginning. */
		gone = gone || is_asleep(stop->pid) || (ran && !ps_followed(stop->pid));
		if (gone && (signals_wait(other->tid) <= 0 || !first_takes(stop->pid)))
			break;
		ran = before < 0 || task_slices(stop->pid, stop->pid) != before;
		ps_sleep(LOOK_NS);
	}
}
