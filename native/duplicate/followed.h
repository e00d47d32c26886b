/* SPDX-License-Identifier: MIT */
/*
 * Calls that are followed to their end: for blocked.c.
 *
 * The thread stays traced, by PTRACE_SYSCALL, from the stop that interrupted its
 * call until that call returns. So it is this call and no later one whose
 * timeout is met here, and whose result and registers are put right.
 */
#ifndef PROCSNAP_FOLLOWED_H
#define PROCSNAP_FOLLOWED_H
#include "calls.h"

struct followed {
	pid_t	pid, tid;		/* 0: not in use */
	int16_t	next;			/* with the same hash, from 1 */
	bool	held;			/* a take is about to stop it, or has: it is seen to there */
	bool	entering;		/* it was let go on, and is not known to be back in its call */
	bool	due;			/* its time is over: it is interrupted as soon as it is in its call */
	bool	interrupting;		/* PTRACE_INTERRUPT was sent, and has not stopped it yet */
	bool	leaving;		/* it is to be let go at its next stop, its call ended */
	bool	handed;			/* it is to be let go in its call, to be followed by another tracer */
	int64_t	kept_ns;		/* until then it gives way to the first thread, in a reported stop; 0: it is in none */
	int	kept_status;		/* of that stop */
	bool	anew;			/* restart_syscall(2) is forbidden: it is made again instead */
	const struct call *call;
	long	number;
	struct user_regs_struct regs;	/* as the target made the call, seen after it */
	long	code;			/* with which it was interrupted last */
	int64_t	done;			/* of its result, before it was made again */
	int64_t	completions;		/* of the io_uring that it waits for, when it was made again; -1: not known */
	bool	alone;			/* its process has no other thread */
	int64_t	deadline_ns;		/* INT64_MAX: none that is met here */
	long	expired;		/* what it returns then */
};

struct followed *ps_find_followed(pid_t tid);
/* NULL: too many. It is followed from ps_follow() on. */
struct followed *ps_new_followed(pid_t pid, pid_t tid);
void ps_drop_followed(struct followed *followed);
void ps_hold_followed(struct followed *followed, bool held);
/* Those that there are, one after the other: NULL begins, and ends. The one that is at hand may be dropped. */
struct followed *ps_next_followed(const struct followed *last);
bool ps_any_followed(void);
/* No more of them than are held: nobody is to be seen to. */
bool ps_all_are_held(void);

enum progress {
	NOT_ENTERED,		/* it is about to be made again */
	INTERRUPTED,		/* without a result */
	CUT_SHORT,		/* with less than was asked for, and the rest can be asked for */
	CUT,			/* the same, but the rest cannot be asked for: it is over */
	RETURNED,		/* it is over */
	ELSEWHERE,		/* this is not the call */
};
/* Where the call is, as a stop shows it. */
enum progress ps_progress(const struct followed *followed, const struct user_regs_struct *regs);
/* Its time is over, and what has come by then was looked for. */
bool ps_is_over(const struct followed *followed);
/* Its registers at its end, from those that a stop shows. */
void ps_finish(const struct followed *followed, struct user_regs_struct *regs);
/* Its registers to be made again, or go on: after INTERRUPTED and CUT_SHORT. */
void ps_again(struct followed *followed, struct user_regs_struct *regs);

#endif
