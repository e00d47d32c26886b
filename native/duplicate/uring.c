// SPDX-License-Identifier: MIT
/* io_uring_enter(2): how many completions its ring has, and what is left of it. */
#include <stdio.h>
#include "descriptors.h"
#include "uring.h"

#define GETEVENTS	(1U << 0)	/* IORING_ENTER_GETEVENTS */

#define REGISTERED_RING	(1U << 4)	/* IORING_ENTER_REGISTERED_RING: not a descriptor */

static int64_t ring_number(pid_t pid, const struct user_regs_struct *regs, const char *key)
{
	char path[48];
	int64_t number;

	if (regs->r10 & REGISTERED_RING)
		return -1;
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", ps_thread_with(pid, regs->rdi), (int)regs->rdi);
	number = ps_proc_number(path, key, 1);
	return number < 0 ? -1 : number;
}

int64_t ps_completions(pid_t pid, const struct call *call, const struct user_regs_struct *regs)
{
	return call->rest == SUBMITTED ? ring_number(pid, regs, "CqTail") : -1;
}

/* Are there as many completions as the call waits for? Then it has them, or would at once. */
static bool has_completions(pid_t pid, const struct user_regs_struct *regs)
{
	int64_t head = ring_number(pid, regs, "CqHead"), tail = ring_number(pid, regs, "CqTail");

	return head >= 0 && tail >= 0 && (uint32_t)(tail - head) >= (uint32_t)regs->rdx;
}

/*
 * Its result is how many it has submitted, whether it got what it waited for then
 * or not. If it did, another thread may have taken that since, and a second wait
 * would be for ever: so it waits again only if it cannot have got it. One that
 * submits nothing returns EINTR only where there is no completion at all.
 */
enum rest rest_of_submitted(pid_t pid, struct user_regs_struct *regs, uint64_t done, bool asleep)
{
	if (done != (unsigned int)regs->rsi || !(regs->r10 & GETEVENTS) || !(unsigned int)regs->rdx ||
	    has_completions(pid, regs))
		return REST_NONE;
	if (!asleep)
		return REST_CUT;
	regs->rsi = 0;
	return REST_SET;
}
