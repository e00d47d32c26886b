/* SPDX-License-Identifier: MIT */
/*
 * The system calls that a stop may end too early, or that the kernel restarts
 * with their whole timeout: where each has its timeout, and how the rest of what
 * it was asked for is asked for again. For blocked.c, waited.c and progress.c.
 */
#ifndef PROCSNAP_CALLS_H
#define PROCSNAP_CALLS_H
#include "procsnap.h"

enum timeout_kind {
	NO_TIMEOUT,
	MILLISECONDS,		/* in a register, relative */
	TIMESPEC, TIMEVAL,	/* a pointer to a relative struct */
	SLEEP,			/* clock_nanosleep(): a TIMESPEC unless TIMER_ABSTIME is set */
	FUTEX,			/* a TIMESPEC for FUTEX_WAIT, absolute for the others */
	URING,			/* io_uring_enter(): a struct io_uring_getevents_arg, if EXT_ARG is set */
	RECEIVE, SEND,		/* SO_RCVTIMEO, SO_SNDTIMEO of the socket; VTIME of a terminal that is read */
	SPLICE,			/* SO_RCVTIMEO of the socket that is read, or SO_SNDTIMEO of the one written */
};

enum rest_kind {
	NO_REST,		/* nothing, or all of it; or less is what it usually returns */
	BYTES,			/* buffer and length are arguments 1 and 2, to a pipe, a socket or a terminal */
	BYTES_AT,		/* the same, at an offset in argument 3 */
	RANDOM,			/* getrandom(): arguments 0 and 1 */
	READ,			/* read(): only from some files is a short result one that was cut */
	RECEIVED,		/* recvfrom(): MSG_WAITALL, SO_RCVLOWAT */
	RECEIVED_VECTOR,	/* recvmsg(): the same, but not in registers */
	READ_VECTOR,		/* readv(), preadv(), preadv2(): SO_RCVLOWAT */
	VECTOR,			/* struct iovec of arguments 1 and 2 */
	MESSAGE,		/* sendmsg() */
	MESSAGES_IN, MESSAGES_OUT,	/* recvmmsg(), sendmmsg() */
	SENT_FILE, SPLICED, COPIED_RANGE,
	SUBMITTED,		/* io_uring_enter(): submitted, and then waited for less than was asked for */
	EVENTS,			/* io_getevents(): less than the minimum */
	CLOSED,			/* close(): SO_LINGER; whatever it returns, the descriptor is gone */
};

struct call {
	long		  number;
	enum timeout_kind kind;
	int		  argument;	/* which one holds the timeout, or the descriptor, from 0 */
	long		  expired;	/* what the call returns when it runs out */
	enum rest_kind	  rest;
	bool		  restart_block;	/* the kernel goes on with it by restart_syscall(2), if it is interrupted */
};

/* NULL: nothing is known of it. */
const struct call *ps_find_call(long number);

/*
 * A timeout that is in a register or in the target's memory; -1: the call has
 * none. Not one of a socket: that has to be asked.
 */
int64_t ps_timeout_of(pid_t pid, const struct call *call, const struct user_regs_struct *regs);
/* That of a socket or a pseudo-terminal (VTIME); -1: none. Only while the target is stopped. */
int64_t ps_descriptor_timeout(pid_t pid, const struct call *call, const struct user_regs_struct *regs);
/* What the call returns when it runs out. */
long ps_expired(pid_t pid, const struct call *call, const struct user_regs_struct *regs);

/*
 * May it, interrupted, have done a part whose rest registers cannot express? Such a
 * call is not followed for its timeout alone: its thread, traced, would be
 * interrupted by signals that it ignores, too. Only while the target is stopped.
 */
bool ps_may_be_cut(pid_t pid, const struct call *call, const struct user_regs_struct *regs);

/* How many completions the ring of an io_uring_enter() has had, modulo 2^32; -1: not known, or another call. */
int64_t ps_completions(pid_t pid, const struct call *call, const struct user_regs_struct *regs);

enum rest {
	REST_NONE,		/* the result is what the call would return in any case */
	REST_SET,		/* the rest is asked for by what is in the registers now */
	REST_ANEW,		/* nothing was used up: the call is made again as it was */
	REST_CUT,		/* it returned too early, and the rest cannot be expressed in registers */
};

/*
 * The call, as it was made with @regs, was interrupted when it had done @done (a
 * result of it, not negative). @asleep: it was seen to sleep in it, and what it
 * waited for had not come by the stop, as far as that can be told. Only while the
 * target is stopped.
 */
enum rest ps_rest(pid_t pid, const struct call *call, struct user_regs_struct *regs, int64_t done, bool asleep);

#endif
