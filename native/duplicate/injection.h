/* SPDX-License-Identifier: MIT */
/* One system call in the target's name: begin, call (injected_call.h), put back, ps_release(). */
#ifndef PROCSNAP_INJECTION_H
#define PROCSNAP_INJECTION_H
#include "procsnap.h"

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
/* Its first thread has its own registers and mask again, and is sent the signals that were taken off it. */
void ps_put_back(struct injection *in);

#endif
