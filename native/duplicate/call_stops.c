// SPDX-License-Identifier: MIT
/* Letting a call that is followed go on, and what is done when its thread stops. */
#include <errno.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>
#include "call_stops.h"
#include "counts.h"
#include "disposition.h"
#include "task_file.h"

void resume(struct followed *followed, int sig)
{
	ptrace(PTRACE_SYSCALL, followed->tid, 0, (long)sig); /* it fails where it was killed: its death is news to come */
}

void interrupt(struct followed *followed)
{
	followed->interrupting = !ptrace(PTRACE_INTERRUPT, followed->tid, 0, 0);
}

static void let_go(struct followed *followed, int sig)
{
	if (!ptrace(PTRACE_DETACH, followed->tid, 0, (long)sig))
		ps_drop_followed(followed);
}

/* Its call has ended too early because it is traced, or was interrupted by us, and no request is there to be told. */
static void note_cut(const struct followed *followed, enum progress progress)
{
	if (progress == CUT && !followed->leaving && !ps_is_over(followed))
		ps_count_cut(&ps_untold_of(followed->pid)->calls, followed->number);
}

/* Its call is over, or nobody follows it any more. */
void finish(struct followed *followed, struct user_regs_struct *regs, int sig)
{
	ps_finish(followed, regs);
	ptrace(PTRACE_SETREGS, followed->tid, 0, regs);
	let_go(followed, sig);
}

static void make_again(struct followed *followed, struct user_regs_struct *regs)
{
	ps_again(followed, regs);
	ptrace(PTRACE_SETREGS, followed->tid, 0, regs);
	followed->entering = true;
}

/* When its call is due is left behind (ps_inherited()). False: that cannot be written. */
static bool bequeath(const struct followed *followed)
{
	static int handed;
	const struct ps_inheritance left = {
		followed->tid, followed->number, followed->deadline_ns, task_slices(followed->pid, followed->tid),
	};

	if (followed->deadline_ns == INT64_MAX)
		return true;		/* it is never due */
	/* The oldest are overwritten. */
	if (pwrite(PS_INHERITANCE_FD, &left, sizeof(left), handed % PS_MAX_THREADS * sizeof(left)) != sizeof(left))
		return false;
	handed++;
	return true;
}

/* Its call is made again, as if it was for the first time. */
static void hand_over(struct followed *followed, struct user_regs_struct *regs, enum progress progress)
{
	if (progress != NOT_ENTERED)
		make_again(followed, regs);
	let_go(followed, 0);
}

/* Less than it asked for is what these never return by themselves, but at an end or an error, which come again at once.
 */
static bool returns_all(const struct call *call)
{
	return call->rest == BYTES || call->rest == BYTES_AT || call->rest == RANDOM || call->rest == RECEIVED ||
	       call->rest == SENT_FILE || call->rest == COPIED_RANGE;
}

/*
 * A stop for a signal, or that of a process that was stopped by one (@sig 0): the call is over, or is made
 * again after an ignored one.
 */
static void on_signal(struct followed *followed, struct user_regs_struct *regs, int sig)
{
	enum progress progress = ps_progress(followed, regs);
	enum disposition does = sig ? disposition(followed, sig) : STOPS;

	if (progress == ELSEWHERE) {
		let_go(followed, sig);
	} else if (progress == CUT || progress == RETURNED || does != IGNORED || followed->leaving ||
		   ps_is_over(followed)) {
		/* A signal that is not ignored would have ended it without us, too. */
		if (does == IGNORED)
			note_cut(followed, progress);
		finish(followed, regs, sig);
	} else {
		if (progress != NOT_ENTERED)
			make_again(followed, regs);
		if (followed->handed)
			interrupt(followed);	/* again: this stop has cleared that one */
		resume(followed, sig);
	}
}

static void on_interrupt(struct followed *followed, struct user_regs_struct *regs)
{
	enum progress progress = ps_progress(followed, regs);

	followed->interrupting = false;
	if (progress == ELSEWHERE) {
		let_go(followed, 0);
	} else if (progress == NOT_ENTERED && !followed->leaving && !followed->handed) {
		resume(followed, 0);
	} else if (progress == CUT || progress == RETURNED || ps_is_over(followed) || followed->leaving) {
		note_cut(followed, progress);
		finish(followed, regs, 0);
	} else if (followed->handed && progress != CUT_SHORT && bequeath(followed)) {
		hand_over(followed, regs, progress);
	} else {
		/*
		 * Of one that has done a part its result has to be put right at its end; and of one whose time could not
		 * be left behind that would begin anew, without being counted. They stay, and who asks is told so.
		 */
		followed->handed = false;
		if (progress != NOT_ENTERED)
			make_again(followed, regs);
		resume(followed, 0);
	}
}

bool is_entry(const struct followed *followed)
{
	struct __ptrace_syscall_info info = { 0 };

	ptrace(PTRACE_GET_SYSCALL_INFO, followed->tid, sizeof(info), &info);
	return info.op == PTRACE_SYSCALL_INFO_ENTRY;
}

/*
 * At the call's end it is not known yet what has ended it: an interruption and a
 * signal show themselves in the stop after this one.
 */
static void on_call_stop(struct followed *followed, struct user_regs_struct *regs)
{
	enum progress progress;

	if (is_entry(followed)) {
		followed->entering = false;
		if ((long)regs->orig_rax != followed->number || regs->rip != followed->regs.rip) {
			let_go(followed, 0);
			return;
		}
		if (followed->due || followed->handed)
			interrupt(followed);
		resume(followed, 0);
		return;
	}
	progress = ps_progress(followed, regs);
	if (progress == CUT_SHORT && !followed->interrupting && !returns_all(followed->call) && !signal_waits(followed))
		progress = RETURNED;
	if (progress == CUT && !followed->interrupting && !signal_waits(followed))
		progress = RETURNED;
	if (progress == ELSEWHERE) {
		let_go(followed, 0);
	} else if (progress == RETURNED || ((followed->due || followed->leaving) && progress != NOT_ENTERED)) {
		finish(followed, regs, 0);
	} else {
		followed->entering = true;
		interrupt(followed);	/* again, if it was: a stop clears an interruption that is pending */
		resume(followed, 0);
	}
}

static void on_stop(struct followed *followed, int status)
{
	struct user_regs_struct regs;
	bool event = status >> 16 == PTRACE_EVENT_STOP;
	int sig = WSTOPSIG(status);

	if (ptrace(PTRACE_GETREGS, followed->tid, 0, &regs))
		return;			/* it is being killed */
	if (!event && sig == CALL_STOP)
		on_call_stop(followed, &regs);
	else if (event && sig == SIGTRAP)
		on_interrupt(followed, &regs);
	else
		on_signal(followed, &regs, event ? 0 : sig);
}

/* It gives way no longer: what it has stopped for. */
void go_on_from_stop(struct followed *followed)
{
	followed->kept_ns = 0;
	on_stop(followed, followed->kept_status);
}
