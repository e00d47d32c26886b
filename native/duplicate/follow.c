// SPDX-License-Identifier: MIT
/* What a take, another tracer, or our own end does with calls that are followed. */
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include "call_stops.h"
#include "disposition.h"
#include "wait.h"

/* How long a call that is made again may take to begin: longer only where the thread does not get to run. */
#define ENTER_NS	(2 * 1000 * 1000LL)

void ps_follow_hold(pid_t tid)
{
	struct followed *followed = ps_find_followed(tid);

	if (followed && followed->kept_ns)
		go_on_from_stop(followed);
	/* Where its call was over it has been let go, and is listed and seized anew. */
	followed = ps_find_followed(tid);
	if (followed)
		ps_hold_followed(followed, true);
}

bool ps_follow_is_held(pid_t tid)
{
	const struct followed *followed = ps_find_followed(tid);

	return followed && followed->held;
}

void ps_follow_ended(pid_t tid)
{
	struct followed *followed = ps_find_followed(tid);

	if (followed)
		ps_drop_followed(followed);
}

bool ps_follow_pass(pid_t tid, int status)
{
	struct followed *followed = ps_find_followed(tid);
	struct user_regs_struct regs;
	int sig = WSTOPSIG(status);

	if (!followed || ptrace(PTRACE_GETREGS, tid, 0, &regs))
		return false;
	if (sig == CALL_STOP) {
		sig = 0;
		if (is_entry(followed)) {
			followed->entering = false;
		} else if (ps_progress(followed, &regs) == RETURNED) {
			ps_finish(followed, &regs);
			ptrace(PTRACE_SETREGS, tid, 0, &regs);
			ps_drop_followed(followed);
		}
	} else if (disposition(followed, sig) != IGNORED) {
		if (ps_progress(followed, &regs) != ELSEWHERE) {
			ps_finish(followed, &regs);
			ptrace(PTRACE_SETREGS, tid, 0, &regs);
		}
		ps_drop_followed(followed);
	}
	ptrace(PTRACE_INTERRUPT, tid, 0, 0);	/* again: this stop has cleared that one */
	return !ptrace(PTRACE_CONT, tid, 0, (long)sig);
}

/* Stopped with all of its process, by SIGSTOP or the like? Then it must not go on, and its call is over, signal(7). */
static bool is_job_stopped(pid_t tid)
{
	siginfo_t info = { 0 };

	return !ptrace(PTRACE_GETSIGINFO, tid, 0, &info) && info.si_code >> 8 == PTRACE_EVENT_STOP &&
		info.si_signo != SIGTRAP;
}

void ps_follow(pid_t pid, struct ps_thread *thread)
{
	struct followed *followed = ps_find_followed(thread->tid);
	struct __ptrace_syscall_info info = { 0 };
	struct user_regs_struct regs;

	(void)pid;
	if (!followed) {
		thread->stopped = !!ptrace(PTRACE_DETACH, thread->tid, 0, 0);
		return;
	}
	ps_hold_followed(followed, false);
	/* The filter that was suspended for the injected call is in force again. */
	if (ptrace(PTRACE_SETOPTIONS, thread->tid, 0, PTRACE_O_TRACESYSGOOD) ||
		ptrace(PTRACE_GETREGS, thread->tid, 0, &regs)) {
		ps_drop_followed(followed);
		return;		/* killed: the caller takes note */
	}
	thread->stopped = false;
	if (is_job_stopped(thread->tid)) {
		finish(followed, &regs, 0);
		return;
	}
	/*
	 * The kernel looks for codes of restart only on its way from an interruption: not from the end of the
	 * injected call.
	 */
	ptrace(PTRACE_GET_SYSCALL_INFO, thread->tid, sizeof(info), &info);
	if (info.op != PTRACE_SYSCALL_INFO_NONE)
		interrupt(followed);
	followed->entering = true;
	resume(followed, 0);
}

void ps_follow_entered(void)
{
	int64_t start = ps_now_ns();
	bool entering;

	do {
		ps_follow_run();
		entering = false;
		for (const struct followed *followed = NULL; !entering && (followed = ps_next_followed(followed));)
			entering = followed->entering && !followed->held;
		if (entering)
			ps_nap();
	} while (entering && ps_now_ns() - start < ENTER_NS);
}

/*
 * Left in its call as it sleeps there, a thread is as if nobody had been there.
 * Not so on its way into it or out of it: an interruption would end it. And of a
 * call that has done a part the rest's result alone would be wrong: it is ended
 * with what it has. How many have to be waited for.
 */
static int prepare_to_leave(void)
{
	int left = 0;

	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		if (followed->held)
			continue;
		if (followed->done && !followed->leaving)
			interrupt(followed);
		followed->leaving |= followed->done > 0;
		left += followed->leaving || followed->due || followed->entering || followed->interrupting ||
			followed->kept_ns;
	}
	return left;
}

void ps_follow_hand_over(pid_t pid)
{
	/* Of a call that has done a part the rest's result alone would be wrong: who asks is told that it is traced. */
	for (const struct followed *followed = NULL; (followed = ps_next_followed(followed));)
		if (followed->pid == pid && followed->done)
			return;
	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));) {
		if (followed->pid != pid || followed->held || followed->handed)
			continue;
		followed->handed = true;
		interrupt(followed);
	}
	ps_follow_run();
}

void ps_follow_leave(int64_t limit_ns)
{
	int64_t start = ps_now_ns();

	ps_follow_run();
	while (prepare_to_leave() && ps_now_ns() - start < limit_ns) {
		ps_nap();
		ps_follow_run();
	}
	for (struct followed *followed = NULL; (followed = ps_next_followed(followed));)
		ps_drop_followed(followed);
}
