/* SPDX-License-Identifier: MIT */
/*
 * What requester and tracer say to each other: one request, one reply, over a
 * SOCK_SEQPACKET pair. The end of the pair is how either learns that the other
 * is gone. Bulk goes through an area of memory that both map: first the
 * registers, then data.
 *
 * What the tracer can be asked for it says itself, when it is started
 * (operations.h): until the first request, the area begins with a text that has
 * a line for each operation, its name and the names of its results, and ends
 * with a 0. An operation's number is that of its line, from 0 on.
 */
#ifndef PROCSNAP_PROTOCOL_H
#define PROCSNAP_PROTOCOL_H

#include "procsnap.h"

#define TRACER_SOCKET_FD	3
#define TRACER_AREA_FD		4
#define TRACER_REGISTERS_BYTES	(PS_MAX_THREADS * sizeof(struct ps_registers))
#define TRACER_TEXT_BYTES	(64 << 10)	/* of the operations, at most */
#define TRACER_ARGUMENTS	4
#define TRACER_RESULTS		24
#define TRACER_COUNTED_CALLS	512
/* In the data: what stops did to blocked calls, struct ps_calls; before the request, its bytes lie behind that. */
#define TRACER_BYTES_AT		sizeof(struct ps_calls)

enum hook_action { HOOK_NONE, HOOK_KILL_TRACER, HOOK_KILL_REQUESTER };

struct tracer_request {
	int32_t	op, pid;
	int64_t	timeout_ns;		/* how long to wait until a target can be stopped */
	int64_t	limit_ns;		/* how long threads that are stopped may wait for others; 0 is PS_STOP_LIMIT_NS */
	int64_t	argument[TRACER_ARGUMENTS];
	uint64_t bytes;			/* so many are at TRACER_BYTES_AT */
	uint64_t id;			/* a reply has that of its request: a late one is told apart */
};

/* What stops did to blocked calls, and a result pause_ns, are told also where the request was refused. */
struct tracer_reply {
	int32_t	code;			/* 0, or a negative errno */
	char	message[256];
	char	left[256];
	int64_t	result[TRACER_RESULTS];	/* in the order of their names */
	uint64_t id;
};

#endif
