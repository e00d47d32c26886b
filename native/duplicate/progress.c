// SPDX-License-Identifier: MIT
/* What a stop shows of a call that is followed, and the registers with which that ends or goes on. */
#include <errno.h>
#include "followed.h"

/*
 * include/linux/errno.h of the kernel: codes by which it makes a call again, or returns EINTR if a handler is
 * to run first.
 */
#define ERESTARTSYS		512
#define ERESTARTNOINTR		513
#define ERESTARTNOHAND		514
#define ERESTART_RESTARTBLOCK	516

static bool is_interrupted(const struct followed *followed, long result)
{
	return result == -EINTR || result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       (result == -ERESTART_RESTARTBLOCK && followed->anew);
}

/*
 * It has not got what it waits for, and waits again if it is made again. An
 * io_uring_enter() returns 0 both if it got that and if it was interrupted with a
 * part of it; if it got it, another thread may have taken it by now.
 */
static bool is_waiting(const struct followed *followed)
{
	if (followed->call->rest != SUBMITTED || followed->alone)
		return true;
	return followed->completions >= 0 &&
	       ps_completions(followed->pid, followed->call, &followed->regs) == followed->completions;
}

enum progress ps_progress(const struct followed *followed, const struct user_regs_struct *regs)
{
	struct user_regs_struct rest = followed->regs;
	long result = regs->rax;

	if (regs->rsp != followed->regs.rsp)
		return ELSEWHERE;
	if (regs->rip == followed->regs.rip - 2 && result == followed->number)
		return NOT_ENTERED;
	if (regs->rip != followed->regs.rip || (long)regs->orig_rax != followed->number)
		return ELSEWHERE;
	if (is_interrupted(followed, result))
		return INTERRUPTED;
	if (result < 0 || !followed->call)
		return RETURNED;
	switch (ps_rest(followed->pid, followed->call, &rest, followed->done + result, is_waiting(followed))) {
	case REST_SET:
		return CUT_SHORT;
	case REST_ANEW:
		return INTERRUPTED;
	case REST_CUT:
		return CUT;
	default:
		return RETURNED;
	}
}

/*
 * What has come is looked for before the time: a call whose time is over is made all the same, and has
 * nothing if it is interrupted in it.
 */
bool ps_is_over(const struct followed *followed)
{
	return followed->due && !followed->entering;
}

void ps_finish(const struct followed *followed, struct user_regs_struct *regs)
{
	bool interrupted = regs->rip != followed->regs.rip || is_interrupted(followed, regs->rax);
	/* What was put there so that it is made again is not how it was interrupted. */
	bool found = regs->rip == followed->regs.rip && (long)regs->rax != -ERESTARTNOHAND;
	long result = found || !interrupted ? (long)regs->rax : followed->code;
	int64_t done = followed->done + (interrupted || result < 0 ? 0 : result);

	*regs = followed->regs;
	regs->orig_rax = -1;
	if (done)
		regs->rax = done;
	else if (interrupted && ps_is_over(followed))
		regs->rax = followed->expired;
	else
		regs->rax = result == -ERESTART_RESTARTBLOCK ? -ERESTARTNOHAND : result;
	/* How it was interrupted is for the kernel to make a result of: it knows whether a handler runs. */
	if (interrupted && !done && !ps_is_over(followed))
		regs->orig_rax = followed->number;
}

void ps_again(struct followed *followed, struct user_regs_struct *regs)
{
	long result = regs->rax;

	if (result > 0)
		followed->done += result;
	else if (result < 0 && result != -ERESTARTNOHAND)
		followed->code = result;
	*regs = followed->regs;
	if (followed->done)
		ps_rest(followed->pid, followed->call, regs, followed->done, true);
	followed->completions = followed->call ? ps_completions(followed->pid, followed->call, &followed->regs) : -1;
	regs->orig_rax = followed->number;
	regs->rax = !followed->done && (result == -ERESTARTSYS || result == -ERESTARTNOINTR) ? result : -ERESTARTNOHAND;
}
