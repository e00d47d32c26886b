// SPDX-License-Identifier: MIT
/*
 * Blocked system calls.
 *
 * A stop interrupts them all. Most are restarted by the kernel, unseen by the
 * target (signal(7), "Interruption of system calls": those that fail with
 * ERESTART*). Those of calls.c return EINTR instead: they are restarted here,
 * and the time gone by (queue_clock.c) is taken off.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include "calls.h"
#include "queue_clock.h"

/* Calls that were put back, and when their time is over. */
static struct ps_timed_wait {
	pid_t	pid, tid;
	bool	in_register;		/* the kernel ends it; else expire() does */
	long	number, expired;
	uint64_t stack, code;		/* the same call, not a later one */
	int64_t	switches;		/* voluntary switches once it has gone back to sleep; -1: it is still stopped */
	int64_t	deadline_ns;
} waits[PS_MAX_THREADS];
static int wait_count;

static int64_t voluntary_switches(pid_t pid, pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", pid, tid);
	return ps_proc_number(path, "voluntary_ctxt_switches", 1);
}

void ps_note_wait(pid_t pid, struct ps_thread *thread)
{
	unsigned long argument[6];
	int64_t slept_since, now, timeout_ns;
	const struct call *call;
	char path[64], line[256];
	FILE *file;
	int got = 0;
	long number;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, thread->tid);
	file = fopen(path, "re");
	if (!file)
		return;
	if (fgets(line, sizeof(line), file))	/* "running", or the number and its arguments */
		got = sscanf(line, "%ld %lx %lx %lx %lx %lx %lx", &number, &argument[0], &argument[1],
			     &argument[2], &argument[3], &argument[4], &argument[5]);
	fclose(file);
	call = got == 7 ? ps_find_call(number) : NULL;
	if (!call || !ps_has_timeout(pid, call, argument, &timeout_ns))
		return;
	thread->waited_call = number;
	thread->switches = voluntary_switches(pid, thread->tid);
	/* A call that was put back before has waited since its first start: its deadline is known. */
	for (int i = 0; i < wait_count; i++)
		if (waits[i].tid == thread->tid && waits[i].number == number && waits[i].switches == thread->switches) {
			thread->waited_ns = timeout_ns - (waits[i].deadline_ns - ps_now_ns());
			return;
		}
	snprintf(path, sizeof(path), "/proc/%d/task/%d/sched", pid, thread->tid);
	slept_since = ps_proc_number(path, "se.exec_start", 1000000);
	now = ps_queue_clock(ps_last_cpu(pid, thread->tid));
	if (slept_since > 0 && now >= slept_since)
		thread->waited_ns = now - slept_since;
}

static void note_deadline(pid_t pid, const struct ps_thread *thread, long number, long result, int64_t left_ns, bool in_register)
{
	int64_t now = ps_now_ns();
	int slot = 0;

	for (int i = 0; i < wait_count;)
		if (waits[i].in_register && waits[i].deadline_ns < now)
			waits[i] = waits[--wait_count];
		else
			i++;
	while (slot < wait_count && waits[slot].tid != thread->tid)
		slot++;
	if (slot == PS_MAX_THREADS)
		return;
	if (slot == wait_count)
		wait_count++;
	waits[slot] = (struct ps_timed_wait){
		.pid = pid, .tid = thread->tid, .in_register = in_register, .number = number, .expired = result,
		.stack = thread->general.rsp, .code = thread->general.rip,
		.switches = -1,
		.deadline_ns = now + left_ns,
	};
}

/* In whole milliseconds, as epoll_wait() takes them. */
static uint64_t in_ms(int64_t left_ns)
{
	return left_ns < 0 ? 0 : (left_ns + 999999) / 1000000;
}

static void settle(pid_t pid, const struct ps_thread *thread)
{
	struct user_regs_struct regs = thread->mended;
	int64_t switches = voluntary_switches(pid, thread->tid);

	for (int i = 0; i < wait_count; i++) {
		if (waits[i].tid != thread->tid || waits[i].switches >= 0)
			continue;
		if (switches < 0) {		/* it was killed */
			waits[i] = waits[--wait_count];
			return;
		}
		waits[i].switches = switches + 1;
		if (waits[i].in_register) {	/* the stop has taken its time, too */
			regs.r10 = in_ms(waits[i].deadline_ns - ps_now_ns());
			ptrace(PTRACE_SETREGS, thread->tid, 0, &regs);
		}
	}
}

void ps_follow(pid_t pid, struct ps_thread *thread)
{
	settle(pid, thread);
	if (!ptrace(PTRACE_DETACH, thread->tid, 0, 0))
		thread->stopped = false;
}

bool ps_followed(pid_t tid)
{
	(void)tid;
	return false;
}

/*
 * What the kernel's own restartable calls return where no handler has run: it
 * then makes the call again, or returns EINTR if by then a handler is to run.
 * A signal that comes at any time until the thread goes on is so treated right.
 */
#define ERESTARTNOHAND	514

static void restart(struct ps_thread *thread, long number)
{
	thread->mended.rax = -ERESTARTNOHAND;
	thread->mended.orig_rax = number;
	thread->changed = true;
}

static struct ps_call_count *counts_of(struct ps_calls *calls, int32_t number)
{
	static struct ps_call_count elsewhere;

	for (int i = 0; i < calls->kinds; i++)
		if (calls->by_call[i].number == number)
			return &calls->by_call[i];
	if (calls->kinds == PS_CALL_KINDS)
		return &elsewhere;
	calls->by_call[calls->kinds].number = number;
	return &calls->by_call[calls->kinds++];
}

static void count_lengthened(struct ps_calls *calls, long number)
{
	calls->lengthened++;
	counts_of(calls, number)->lengthened++;
}

void ps_mend_call(pid_t pid, struct ps_thread *thread, struct ps_calls *calls)
{
	const struct user_regs_struct *regs = &thread->general;
	const unsigned long argument[6] = { regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9 };
	const struct call *call = (long)regs->orig_rax >= 0 && (long)regs->rax == -EINTR ? ps_find_call(regs->orig_rax) : NULL;
	int64_t timeout_ns, left_ns;
	bool in_register;

	if (!call)
		return;
	calls->restarted++;
	counts_of(calls, call->number)->restarted++;
	restart(thread, call->number);
	/* Its own timeout, looked at only when a message has come, begins anew. */
	if (call->number == SYS_recvmmsg && argument[4])
		count_lengthened(calls, call->number);
	if (!ps_has_timeout(pid, call, argument, &timeout_ns))
		goto out;
	/* Only if it slept from before the note until this stop: one switch more, that of the stop. */
	if (thread->waited_call != call->number || thread->waited_ns < 0 ||
	    voluntary_switches(pid, thread->tid) != thread->switches + 1) {
		count_lengthened(calls, call->number);
		goto out;
	}
	left_ns = timeout_ns - thread->waited_ns;
	/*
	 * epoll_pwait2() takes a pointer, and nothing is written into a target: epoll_pwait() does
	 * the same with a register, an int of milliseconds, so up to 24 days.
	 */
	in_register = call->kind == MILLISECONDS || (call->number == SYS_epoll_pwait2 && left_ns / 1000000 < INT_MAX);
	if (call->number == SYS_epoll_pwait2 && in_register)
		restart(thread, SYS_epoll_pwait);
	if (in_register) {
		thread->mended.r10 = in_ms(left_ns);
		note_deadline(pid, thread, thread->mended.orig_rax, 0, left_ns, true);
	} else {
		note_deadline(pid, thread, call->number, ps_expired(pid, call, argument), left_ns, false);
	}
	thread->follow = true;
out:
	/* At once: so it is right even if we die before the release. */
	ptrace(PTRACE_SETREGS, thread->tid, 0, &thread->mended);
}

int64_t ps_follow_next_ns(void)
{
	int64_t next = INT64_MAX;

	for (int i = 0; i < wait_count; i++)
		if (waits[i].switches >= 0 && !waits[i].in_register && waits[i].deadline_ns < next)
			next = waits[i].deadline_ns;
	return next;
}

/*
 * End one call as its timeout would have, if the thread is still in it.
 * -ETIMEDOUT: it did not stop in time, as in ps_stop_all().
 */
static int expire(const struct ps_timed_wait *wait)
{
	struct ps_thread thread = { .tid = wait->tid, .waited_call = -1, .waited_ns = -1 };
	const struct user_regs_struct *regs = &thread.general;
	struct ps_calls calls = { 0 };
	int err, status;

	if (wait->in_register || voluntary_switches(wait->pid, wait->tid) != wait->switches)
		return 0;	/* the kernel ends it, or it has gone on by itself */
	if (ptrace(PTRACE_SEIZE, wait->tid, 0, PTRACE_O_TRACESYSGOOD))
		return 0;
	ptrace(PTRACE_INTERRUPT, wait->tid, 0, 0);
	for (;;) {
		err = ps_wait_stop(wait->tid, PS_NSEC_PER_SEC, true, &status);
		if (err)
			return err;
		if (status >> 16 == PTRACE_EVENT_STOP)
			break;
		ptrace(PTRACE_CONT, wait->tid, 0, (long)WSTOPSIG(status));
	}
	if (!ptrace(PTRACE_GETREGS, wait->tid, 0, &thread.general)) {
		thread.mended = thread.general;
		ps_mend_rseq(&thread);
		if ((long)regs->rax == -EINTR && (long)regs->orig_rax == wait->number && regs->rsp == wait->stack &&
		    regs->rip == wait->code) {
			thread.mended.rax = wait->expired;
			thread.mended.orig_rax = -1;
			thread.changed = true;
		} else {
			ps_mend_call(wait->pid, &thread, &calls);	/* another call, begun just now */
		}
		if (thread.changed)
			ptrace(PTRACE_SETREGS, wait->tid, 0, &thread.mended);
	}
	ptrace(PTRACE_DETACH, wait->tid, 0, 0);
	return 0;
}

void ps_follow_run(void)
{
	int64_t now = ps_now_ns();

	for (int i = 0; i < wait_count;) {
		struct ps_timed_wait due = waits[i];

		if (due.switches < 0 || due.deadline_ns > now) {
			i++;
			continue;
		}
		waits[i] = waits[--wait_count];
		if (expire(&due) == -ETIMEDOUT)
			ps_thread_lost = true;
	}
}
