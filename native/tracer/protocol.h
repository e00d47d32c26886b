/* SPDX-License-Identifier: MIT */
/*
 * What requester and tracer say to each other: one request, one reply, over a
 * SOCK_SEQPACKET pair. The end of the pair is how either learns that the other
 * is gone. Bulk goes through an area of memory that both map: first the
 * registers, then data.
 */
#ifndef PROCSNAP_PROTOCOL_H
#define PROCSNAP_PROTOCOL_H

#include "procsnap.h"

#define TRACER_SOCKET_FD	3
#define TRACER_AREA_FD		4
#define TRACER_REGISTERS_BYTES	(PS_MAX_THREADS * sizeof(struct ps_registers))
#define TRACER_RESULTS		16

enum tracer_op {
	OP_INJECT = 1,	/* pid, cpu, limit -> struct ps_duplicate's figures, registers; data: struct ps_calls */
	OP_END,		/* the duplicate, snapshot or copy, -, limit -> struct ps_ended's figures; message: why it ended early; left: why it is not buried; data: struct ps_calls */
	OP_STOP_COPY,	/* pid, -, limit -> struct ps_copy's figures, registers; data: struct ps_calls */
	OP_READ_COPY,	/* address, length -> bytes, data */
	OP_HOLD,	/* pid, -, limit -> threads, registers: stopped until OP_LET_GO; data: struct ps_calls */
	OP_LET_GO,	/* -> for how long it was held */
	OP_READ,	/* pid, way, address, length -> ns, bytes, data */
	OP_COUNT,	/* way, length -> data: uint32_t calls[512] */
	OP_HOOK,	/* step, action: tests only */
	OP_SNAP,	/* pid, plain -> struct ps_snapshot's figures */
	OP_REGISTERS,	/* of the snapshot -> how many, registers */
	OP_CHECK,	/* pid -> data: struct ps_preflight */
	/* What stops did that belong to no request, which OP_END tells too of its own target: */
	OP_UNTOLD,	/* -> for how long, as OP_END's result 5; data: struct ps_calls */
};

/*
 * "limit" is how long, in nanoseconds, threads that are stopped may wait for
 * others to stop; 0 is PS_STOP_LIMIT_NS. struct ps_calls is told also where the
 * request was refused: by then, stops may have been made in vain.
 */

enum hook_action { HOOK_NONE, HOOK_KILL_TRACER, HOOK_KILL_REQUESTER };

struct tracer_request {
	int32_t	op, pid;
	int64_t	timeout_ns;
	int64_t	argument[4];
	uint64_t id;			/* a reply has that of its request: a late one is told apart */
};

struct tracer_reply {
	int32_t	code;			/* 0, or a negative errno */
	char	message[256];
	char	left[256];
	int64_t	result[TRACER_RESULTS];
	uint64_t id;
};

#endif
