// SPDX-License-Identifier: MIT
/*
 * Blocked system calls.
 *
 * A stop interrupts them all. Most are restarted by the kernel, unseen by the
 * target (signal(7), "Interruption of system calls": those that fail with
 * ERESTART*). The others return EINTR, or less than they were asked for: they
 * are made again, for the rest, and followed to their end (followed.c) where
 * their timeout is to be met or their result is to be put right.
 */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include "descriptors.h"
#include "followed.h"
#include "queue_clock.h"
#include "seccomp_filter.h"
#include "task_file.h"

#define ERESTARTSYS		512
#define ERESTARTNOHAND		514
#define ERESTART_RESTARTBLOCK	516

/* As long as the tracer stays after its requester has gone (tracer.c). */
#define KEPT_NS			(60 * PS_NSEC_PER_SEC)
/* The longest that VTIME can be, termios(3): who has waited for longer has none. */
#define LONGEST_VTIME_NS	(25600 * 1000 * 1000LL)
#define FILTERED		2	/* of "Seccomp:" */

/* ---- before the stop ---------------------------------------------------------- */

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
	if (thread->slices >= 0 ? task_slices(pid, thread->tid) != thread->slices : voluntary_switches(pid, thread->tid) != thread->switches)
		thread->waited_ns = -1;
}

/* ---- what was done is counted --------------------------------------------------- */

static struct ps_call_count *counts_of(struct ps_calls *calls, int32_t number)
{
	static struct ps_call_count elsewhere;

	for (int i = 0; i < calls->kinds; i++)
		if (calls->by_call[i].number == number)
			return &calls->by_call[i];
	if (calls->kinds == PS_CALL_KINDS)
		return &elsewhere;
	calls->by_call[calls->kinds] = (struct ps_call_count){ .number = number };
	return &calls->by_call[calls->kinds++];
}

static void count_restarted(struct ps_calls *calls, long number)
{
	calls->restarted++;
	counts_of(calls, number)->restarted++;
}

static void count_lengthened(struct ps_calls *calls, long number)
{
	calls->lengthened++;
	counts_of(calls, number)->lengthened++;
}

void ps_count_cut(struct ps_calls *calls, long number)
{
	calls->cut++;
	counts_of(calls, number)->cut++;
}

void ps_add_calls(struct ps_calls *to, const struct ps_calls *from)
{
	to->restarted += from->restarted;
	to->lengthened += from->lengthened;
	to->cut += from->cut;
	for (int i = 0; i < from->kinds; i++) {
		const struct ps_call_count *more = &from->by_call[i];
		struct ps_call_count *count = counts_of(to, more->number);

		count->restarted += more->restarted;
		count->lengthened += more->lengthened;
		count->cut += more->cut;
	}
}

/* ---- at the stop ----------------------------------------------------------------- */

static bool was_asleep_in(const struct ps_thread *thread, long number)
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
static int64_t deadline_of(pid_t pid, const struct ps_thread *thread, const struct call *call, int64_t done, bool *lengthened)
{
	int64_t timeout_ns, deadline_ns;

	*lengthened = call->number == SYS_recvmmsg && thread->general.r8;	/* looked at when a message has come, and then anew */
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

static struct followed *follow(pid_t pid, struct ps_thread *thread, const struct call *call)
{
	struct followed *followed = ps_new_followed(pid, thread->tid);

	if (!followed)
		return NULL;
	ps_hold_followed(followed, true);
	followed->call = call;
	followed->number = thread->general.orig_rax;
	followed->regs = thread->general;
	followed->completions = ps_completions(pid, call, &thread->general);
	followed->alone = thread->alone;
	thread->follow = true;
	return followed;
}

/* What the thread gets if we die before it is let go, and its mended registers, which it gets then. */
static void set(struct ps_thread *thread, const struct user_regs_struct *meanwhile, const struct user_regs_struct *mended)
{
	thread->mended = *mended;
	thread->changed = true;
	ptrace(PTRACE_SETREGS, thread->tid, 0, meanwhile);
}

/*
 * Made again by the code that the kernel's own restartable calls return where no
 * handler has run: it makes the call again, or returns EINTR if by then a handler
 * is to run. A signal that comes at any time until the thread goes on is so
 * treated right.
 */
static void make_again(pid_t pid, struct ps_thread *thread, const struct call *call, struct ps_calls *calls)
{
	struct user_regs_struct mended = thread->general;
	long number = thread->general.orig_rax;
	struct followed *followed;
	int64_t deadline_ns;
	bool lengthened;

	if ((long)mended.rax != -ERESTARTSYS)	/* the kernel's own code says more: whether a handler has it made again */
		mended.rax = -ERESTARTNOHAND;
	set(thread, &mended, &mended);
	count_restarted(calls, number);
	if (!call)
		return;
	deadline_ns = deadline_of(pid, thread, call, 0, &lengthened);
	followed = NULL;
	if (deadline_ns < INT64_MAX && !ps_may_be_cut(pid, call, &thread->general))
		followed = follow(pid, thread, call);
	if (deadline_ns < INT64_MAX && !followed)
		lengthened = true;
	if (lengthened)
		count_lengthened(calls, number);
	if (!followed)
		return;
	followed->anew = (long)thread->general.rax == -ERESTART_RESTARTBLOCK;
	followed->code = thread->general.rax;
	followed->deadline_ns = deadline_ns;
	followed->expired = ps_expired(pid, call, &thread->general);
}

/*
 * It slept in the call, and was woken by nothing but the stop. Of an
 * io_uring_enter() it may have been a completion, whatever its slices say; but
 * that would be there still, where no other thread can have taken it.
 */
static bool was_waiting(pid_t pid, const struct ps_thread *thread, const struct call *call)
{
	if (call->rest == SUBMITTED && thread->alone)
		return true;
	/* Of a registered ring, or one whose fdinfo cannot be read, nobody knows what has completed. */
	if (call->rest == SUBMITTED && thread->completions < 0)
		return false;
	return was_asleep_in(thread, call->number) &&
	       ps_completions(pid, call, &thread->general) == thread->completions;
}

/* It has returned less than it was asked for: it goes on with the rest, and its result will be that of both. */
static void go_on(pid_t pid, struct ps_thread *thread, const struct call *call, struct ps_calls *calls)
{
	struct user_regs_struct regs = thread->general;
	struct followed *followed;
	bool lengthened;

	switch (ps_rest(pid, call, &regs, regs.rax, was_waiting(pid, thread, call))) {
	case REST_NONE:
		return;
	case REST_ANEW:
		make_again(pid, thread, call, calls);
		return;
	case REST_CUT:
		ps_count_cut(calls, call->number);
		return;
	case REST_SET:
		break;
	}
	followed = follow(pid, thread, call);
	if (!followed) {
		ps_count_cut(calls, call->number);
		return;
	}
	count_restarted(calls, call->number);
	followed->deadline_ns = deadline_of(pid, thread, call, thread->general.rax, &lengthened);
	followed->expired = ps_expired(pid, call, &thread->general);
	followed->code = -EINTR;
	if (lengthened)
		count_lengthened(calls, call->number);
	regs = thread->general;
	ps_again(followed, &regs);
	set(thread, &thread->general, &regs);
}

/* The kernel makes it again by itself, but where that has a relative timeout it begins anew. */
static void meet_timeout(pid_t pid, struct ps_thread *thread, const struct call *call, struct ps_calls *calls)
{
	enum descriptor kind;

	switch (call->number) {
	case SYS_io_pgetevents:
		if (ps_timeout_of(pid, call, &thread->general) > 0)
			make_again(pid, thread, call, calls);
		break;
	case SYS_recvmmsg:
		if (thread->general.r8)
			count_lengthened(calls, call->number);
		break;
	case SYS_read:		/* VTIME */
		kind = was_asleep_in(thread, SYS_read) ? ps_descriptor(pid, thread->general.rdi) : FD_OTHER;
		if (kind == FD_PTY && ps_descriptor_timeout(pid, call, &thread->general) > 0)
			make_again(pid, thread, call, calls);
		if (kind == FD_TTY && thread->waited_ns < LONGEST_VTIME_NS)
			count_lengthened(calls, call->number);
		break;
	}
}

/* A call that a former take has interrupted, and that is still followed: its state goes on. */
static void mend_followed(struct followed *followed, struct ps_thread *thread, struct ps_calls *calls)
{
	struct user_regs_struct regs = thread->general, meanwhile;
	enum progress progress = ps_progress(followed, &regs);

	followed->interrupting = false;
	if (progress == ELSEWHERE) {
		ps_drop_followed(followed);
		return;
	}
	meanwhile = regs;
	ps_finish(followed, &meanwhile);
	/* What the target has to do with is the call as it made it. */
	thread->general = followed->regs;
	thread->general.orig_rax = followed->number;
	thread->general.rax = progress == NOT_ENTERED ? (uint64_t)followed->code : regs.rax;
	/* Its time was over before, and this stop is the one that shows that nothing has come. */
	if (ps_is_over(followed) && progress != NOT_ENTERED)
		progress = RETURNED;
	if (progress == CUT)
		ps_count_cut(calls, followed->number);
	if (progress == CUT || progress == RETURNED) {
		thread->general.rax = meanwhile.rax;
		ps_drop_followed(followed);
		set(thread, &meanwhile, &meanwhile);
		return;
	}
	if (progress != NOT_ENTERED)
		ps_again(followed, &regs);
	count_restarted(calls, followed->number);
	set(thread, followed->done ? &meanwhile : &regs, &regs);
	thread->follow = true;
}

/* What is over although it was interrupted, or where EINTR may be something else than "nothing was done". */
static bool is_over(const struct user_regs_struct *regs)
{
#define KVM_RUN 0xae80
	return regs->orig_rax == SYS_close || (regs->orig_rax == SYS_ioctl && (unsigned int)regs->rsi != KVM_RUN);
}

/* One that was found in the stop, or was followed before it, was not looked at. */
static bool is_filtered(pid_t pid, const struct ps_thread *thread)
{
	char status[4096];

	if (thread->noted)
		return thread->filtered;
	read_task_file(pid, thread->tid, "status", status, sizeof(status));
	return task_number(status, "\nSeccomp:", 10) == FILTERED;
}

/*
 * Its supervisor may have been asked, and then acts again. One that slept before
 * the stop was seen to sleep in something else (supervised.c); for which of its
 * calls a supervisor acts only the filters say, and reading them takes its time.
 */
static bool is_asked_again(pid_t pid, const struct ps_thread *thread, long result)
{
	if (result != -ERESTARTSYS)
		return false;
	return thread->supervised || (!thread->asleep && is_filtered(pid, thread) && ps_filters_notify(thread->tid, thread->general.orig_rax, &thread->general));
}

void ps_mend_call(pid_t pid, struct ps_thread *thread, struct ps_calls *calls)
{
	const struct user_regs_struct *regs = &thread->general;
	struct followed *followed = ps_find_followed(thread->tid);
	long number = regs->orig_rax, result = regs->rax;
	const struct call *call;

	if (followed && ps_progress(followed, regs) == ELSEWHERE) {
		ps_drop_followed(followed);
	} else if (followed) {
		mend_followed(followed, thread, calls);
		return;
	}
	if (number < 0)
		return;
	call = ps_find_call(number);
	if (is_asked_again(pid, thread, result))
		count_restarted(calls, number);
	if (result == -EINTR && is_over(regs))
		ps_count_cut(calls, number);
	else if (result == -EINTR)
		make_again(pid, thread, call, calls);
	else if (result == -ERESTART_RESTARTBLOCK && is_filtered(pid, thread) && !ps_filters_allow(thread->tid, SYS_restart_syscall, regs))
		make_again(pid, thread, call, calls);
	else if ((result == -ERESTARTSYS || result == -ERESTARTNOHAND) && call)
		meet_timeout(pid, thread, call, calls);
	else if (result >= 0 && call && call->rest != NO_REST)
		go_on(pid, thread, call, calls);
}
