// SPDX-License-Identifier: MIT
/* How long a thread has waited in its call, and when that is due. */
#include <sys/syscall.h>
#include "calls.h"
#include "queue_clock.h"
#include "task_file.h"
#include "waited.h"

/* As long as the tracer stays after its requester has gone (tracer.c). */
#define KEPT_NS			(60 * PS_NSEC_PER_SEC)

static int64_t voluntary_switches(pid_t pid, pid_t tid)
{
	char status[4096];

	read_task_file(pid, tid, "status", status, sizeof(status));
	return task_number(status, "\nvoluntary_ctxt_switches:", 10);
}

static bool has_descriptor_timeout(const struct call *call)
{
	return call->kind == RECEIVE || call->kind == SEND || call->kind == SPLICE;
}

void ps_note_wait(pid_t pid, struct ps_thread *thread)
{
	struct user_regs_struct regs = { 0 };
	int64_t slept_since, now;
	const struct ps_inheritance *last;
	const struct call *call;
	char text[4096], *since;
	long number;

	thread->waited_call = -1;
	thread->waited_ns = thread->timeout_ns = thread->due_ns = -1;
	if (ps_followed(thread->tid))
		return;			/* it is known better */
	read_task_file(pid, thread->tid, "status", text, sizeof(text));
	thread->filtered = task_number(text, "\nSeccomp:", 10) == FILTERED;
	thread->tracer = task_number(text, "\nTracerPid:", 10);
	thread->noted = true;
	thread->switches = task_number(text, "\nvoluntary_ctxt_switches:", 10);
	/* Before its call is looked at: if it sleeps on, it sleeps in that call. */
	thread->slices = task_slices(pid, thread->tid);
	/* "running", or the number of its call and the arguments */
	read_task_file(pid, thread->tid, "syscall", text, sizeof(text));
	if (sscanf(text, "%ld %llx %llx %llx %llx %llx %llx", &number, &regs.rdi, &regs.rsi, &regs.rdx, &regs.r10, &regs.r8,
		   &regs.r9) != 7)
		return;
	call = ps_find_call(number);
	if (!call || (call->restart_block && !thread->filtered))
		return;
	thread->timeout_ns = ps_timeout_of(pid, call, &regs);
	thread->waited_call = number;
	thread->noted_ns = ps_now_ns();
	thread->completions = ps_completions(pid, call, &regs);
	if (thread->timeout_ns < 0 && !has_descriptor_timeout(call))
		return;
	last = ps_inherited(thread->tid);
	if (last && last->number == number) {
		/* Put on a CPU once since, to go into the call that it was let go in: it has slept there from then on. */
		if (last->slices >= 0 && thread->slices == last->slices + 1) {
			thread->due_ns = last->deadline_ns;
			thread->waited_ns = 0;
		}
		return;
	}
	read_task_file(pid, thread->tid, "sched", text, sizeof(text));
	since = strstr(text, "se.exec_start");
	since = since ? strchr(since, ':') : NULL;
	slept_since = since ? (int64_t)(strtod(since + 1, NULL) * 1e6) : -1;
	now = slept_since > 0 ? ps_queue_clock(ps_last_cpu(pid, thread->tid), slept_since) : -1;
	thread->noted_ns = ps_now_ns();
	if (slept_since > 0 && now >= slept_since)
		thread->waited_ns = now - slept_since;
}

void ps_confirm_wait(pid_t pid, struct ps_thread *thread)
{
	if (thread->waited_call < 0 || thread->waited_ns < 0)
		return;
	/* At a CPU since, it may have come to the end of that call, and be in another of the same kind by now. */
	if (thread->slices >= 0 ? task_slices(pid, thread->tid) != thread->slices
							: voluntary_switches(pid, thread->tid) != thread->switches)
		thread->waited_ns = -1;
}

bool was_asleep_in(const struct ps_thread *thread, long number)
{
	return thread->waited_call == number && thread->asleep;
}

/* It has slept from the note until the stop woke it: it was put on a CPU once since. */
static bool slept_on(pid_t pid, const struct ps_thread *thread)
{
	if (thread->slices >= 0 && task_slices(pid, thread->tid) == thread->slices + 1)
		return true;
	return thread->switches >= 0 && voluntary_switches(pid, thread->tid) == thread->switches + 1;
}

/*
 * When the call is due, INT64_MAX where that is not met here: it has no timeout,
 * or (@lengthened) one of which nobody knows how much is left.
 */
int64_t deadline_of(pid_t pid, const struct ps_thread *thread, const struct call *call, int64_t done, bool *lengthened)
{
	int64_t timeout_ns, deadline_ns;

	*lengthened =
		call->number == SYS_recvmmsg && thread->general.r8; /* looked at when a message has come, and then anew */
	timeout_ns = ps_timeout_of(pid, call, &thread->general);
	/* What was noted is of this very call only if the thread has slept on: else of an earlier one of its kind. */
	if (thread->timeout_ns != timeout_ns && was_asleep_in(thread, call->number) && slept_on(pid, thread))
		timeout_ns = thread->timeout_ns;
	if (timeout_ns < 0)
		timeout_ns = ps_descriptor_timeout(pid, call, &thread->general);
	if (timeout_ns < 0)
		return INT64_MAX;
	if (!was_asleep_in(thread, call->number) || thread->waited_ns < 0 || !slept_on(pid, thread)) {
		*lengthened = true;
		return INT64_MAX;
	}
	deadline_ns = thread->due_ns >= 0 ? thread->due_ns : thread->noted_ns - thread->waited_ns + timeout_ns;
	/* It is known since when it has slept. What has got a part of what it waits for has been awake before. */
	if (done > 0 || deadline_ns - ps_now_ns() > KEPT_NS)
		*lengthened = true;
	return deadline_ns;
}
