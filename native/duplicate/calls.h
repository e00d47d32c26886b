/* SPDX-License-Identifier: MIT */
/* The calls that a stop ends with EINTR, and what their timeouts are: for blocked.c. */
#ifndef PROCSNAP_CALLS_H
#define PROCSNAP_CALLS_H
#include "procsnap.h"

enum timeout_kind {
	NO_TIMEOUT,
	MILLISECONDS,		/* in a register, relative */
	TIMESPEC,		/* a pointer to a relative struct timespec */
	URING,			/* io_uring_enter(): a struct io_uring_getevents_arg, if EXT_ARG is set */
	RECEIVE, SEND,		/* SO_RCVTIMEO, SO_SNDTIMEO of the socket */
};

struct call {
	long		  number;
	enum timeout_kind kind;
	int		  argument;	/* which one holds the timeout, from 0 */
	long		  expired;	/* what the call returns when it runs out */
};

/* NULL: a stop does not end it, or the kernel restarts it. */
const struct call *ps_find_call(long number);
/* The call's relative timeout; false: it has none. */
bool ps_has_timeout(pid_t pid, const struct call *call, const unsigned long *argument, int64_t *timeout_ns);
/* What the call returns when that runs out. */
long ps_expired(pid_t pid, const struct call *call, const unsigned long *argument);

#endif
