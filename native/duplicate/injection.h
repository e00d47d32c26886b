/* SPDX-License-Identifier: MIT */
/* One system call in the target's name: begin, call, put back, ps_release(). */
#ifndef PROCSNAP_INJECTION_H
#define PROCSNAP_INJECTION_H
#include "procsnap.h"

/*
 * If the tracer dies before it holds the child, the child would run: with this
 * in all registers that may point somewhere, the stack's and the frame's
 * pointers first, it faults at its first instruction that uses memory. The
 * vDSO's first "syscall" is followed by "leave": a true frame pointer would let
 * the child return into the target's code. The true registers are put back when
 * the child is held.
 */
#define NOWHERE		16
#define TRAP_FLAG	0x100UL		/* of eflags: a single step */

struct injection {
	pid_t	 target;
	int64_t	 timeout_ns;
	uint64_t instruction;
	struct ps_stop stop;
	struct ps_calls calls;			/* that were blocked */
	long	 options;			/* of ptrace */
	uint64_t mask;				/* the target's own */
	int64_t	 window_start, window_ns;
	bool	 masked;
	bool	 sigsys;			/* was taken off the thread */
	bool	 dispatch_unknown;		/* this kernel does not tell of syscall user dispatch */
	bool	 stranded;			/* ps_strand() has taken it over: nothing is to be put back here */
};

/* Which process, and how long it may take: stop->timeout_ns and limit_ns. @pidfd: that process, or -1. */
struct ps_patience { pid_t target; int pidfd; int64_t timeout_ns, limit_ns; };

/*
 * Stop the target, with its instruction found and checked, and its blocked calls
 * mended. On failure in->calls and in->stop.undone_ns are of stops in vain.
 */
int ps_begin_injection(struct injection *in, const struct ps_patience *patience);
/*
 * Make @number(@arguments) happen in the target's first thread. The thread
 * keeps its registers and mask, but where in->stranded is set afterwards.
 */
int ps_inject_call(struct injection *in, long number, const long arguments[4], long *result, int64_t *took_ns);
void ps_put_back(struct injection *in);
/* From a duplicate's stop to its next system-call stop. */
int ps_next_call_stop(pid_t tid, int64_t timeout_ns);
/* Make a system call in a duplicate, which is in a ptrace stop: ps_dress_child() has to follow. */
int ps_call_in_duplicate(
	const struct ps_duplicate *duplicate, long number, const long arguments[4], int64_t timeout_ns);

#endif
