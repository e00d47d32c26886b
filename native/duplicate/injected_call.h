/* SPDX-License-Identifier: MIT */
/* One system call, made by a thread that is stopped: the target's first, or a duplicate's. */
#ifndef PROCSNAP_INJECTED_CALL_H
#define PROCSNAP_INJECTED_CALL_H
#include "injection.h"

/*
 * If the tracer dies before it holds the child, the child would run: with this
 * in all registers that may point somewhere, the stack's and the frame's
 * pointers first, it faults at its first instruction that uses memory. The
 * vDSO's first "syscall" is followed by "leave": a true frame pointer would let
 * the child return into the target's code. The true registers are put back when
 * the child is held.
 */
#define NOWHERE		16

/*
 * Make @number(@arguments) happen in the target's first thread. The thread
 * keeps its registers and mask, but where in->stranded is set afterwards.
 */
int ps_inject_call(struct injection *in, long number, const long arguments[4], long *result, int64_t *took_ns);
/* Make a system call in a duplicate, which is in a ptrace stop: ps_dress_child() has to follow. */
int ps_call_in_duplicate(
	const struct ps_duplicate *duplicate, long number, const long arguments[4], int64_t timeout_ns);

#endif
