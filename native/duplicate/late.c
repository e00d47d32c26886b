// SPDX-License-Identifier: MIT
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include "late.h"

#define MAX_LATE	256

bool ps_thread_lost;

static struct late { pid_t pid; struct ps_thread thread; } late[MAX_LATE];
static int count;

void ps_add_late(pid_t pid, const struct ps_thread *thread)
{
	if (count == MAX_LATE) {	/* the end of the tracing thread lets them go, with the call that was cut off */
		ps_thread_lost = true;
		return;
	}
	late[count].pid = pid;
	late[count++].thread = *thread;
}

bool ps_is_late(pid_t tid)
{
	for (int i = 0; i < count; i++)
		if (late[i].thread.tid == tid)
			return true;
	return false;
}

bool ps_any_late(void)
{
	return count;
}

bool ps_took_first_tid(pid_t pid, pid_t tid)
{
	struct ps_identity identity;

	return tid != pid && !ps_followed(pid) && !ps_is_late(pid) && !ps_identify(pid, &identity) &&
		identity.tracer == gettid();
}

static void let_go(struct late *one)
{
	struct ps_thread *thread = &one->thread;

	if (!ptrace(PTRACE_GETREGS, thread->tid, 0, &thread->general)) {
		thread->mended = thread->general;
		ps_mend_rseq(thread);
		ps_mend_call(one->pid, thread, &ps_untold_of(one->pid)->calls);
		if (thread->changed)
			ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
	}
	thread->stopped = true;
	if (thread->follow)
		ps_follow(one->pid, thread);
	else
		thread->stopped = !!ptrace(PTRACE_DETACH, thread->tid, 0, 0);
}

/* False: it is still waited for. */
static bool see_to(struct late *one)
{
	int status;
	pid_t got = waitpid(one->thread.tid, &status, __WALL | WNOHANG);

	if (!got)
		return false;
	if (got < 0 && ps_took_first_tid(one->pid, one->thread.tid)) {
		one->thread.tid = one->pid;
		return false;
	}
	if (got < 0 || !WIFSTOPPED(status)) {
		ps_follow_ended(one->thread.tid);
		return true;		/* it has ended */
	}
	if (status >> 16 == PTRACE_EVENT_STOP) {
		let_go(one);
		return !one->thread.stopped;	/* killed: its death is still to be noted */
	}
	if (!ps_follow_pass(one->thread.tid, status)) {
		ptrace(PTRACE_INTERRUPT, one->thread.tid, 0, 0);	/* again: this stop may have cleared that one */
		ptrace(PTRACE_CONT, one->thread.tid, 0, (long)WSTOPSIG(status));
	}
	return false;
}

void ps_late_run(void)
{
	for (int i = count - 1; i >= 0; i--)
		if (see_to(&late[i]))
			late[i] = late[--count];
}
