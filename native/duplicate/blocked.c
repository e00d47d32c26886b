// SPDX-License-Identifier: MIT
/*
 * Blocked system calls.
 *
 * A stop interrupts them all. Most are restarted by the kernel, unseen by the
 * target (signal(7), "Interruption of system calls": those that fail with
 * ERESTART*). The others return EINTR, or less than they were asked for: they
 * are made again, for the rest, and followed to their end (follow.c) where
 * their timeout is to be met or their result is to be put right.
 */
#include <errno.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include "counts.h"
#include "descriptors.h"
#include "followed.h"
#include "seccomp_filter.h"
#include "task_file.h"
#include "waited.h"

#define ERESTARTSYS		512
#define ERESTARTNOHAND		514
#define ERESTART_RESTARTBLOCK	516

/* The longest that VTIME can be, termios(3): who has waited for longer has none. */
#define LONGEST_VTIME_NS	(25600 * 1000 * 1000LL)

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
static void set(
	struct ps_thread *thread, const struct user_regs_struct *meanwhile, const struct user_regs_struct *mended)
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
	return thread->supervised ||
		(!thread->asleep && is_filtered(pid, thread) &&
			ps_filters_notify(thread->tid, thread->general.orig_rax, &thread->general));
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
	else if (result == -ERESTART_RESTARTBLOCK && is_filtered(pid, thread) &&
		!ps_filters_allow(thread->tid, SYS_restart_syscall, regs))
		make_again(pid, thread, call, calls);
	else if ((result == -ERESTARTSYS || result == -ERESTARTNOHAND) && call)
		meet_timeout(pid, thread, call, calls);
	else if (result >= 0 && call && call->rest != NO_REST)
		go_on(pid, thread, call, calls);
}
