/* SPDX-License-Identifier: MIT */
/* How long a thread has waited in its call, as ps_note_wait() has seen it before the stop: for blocked.c. */
#ifndef PROCSNAP_WAITED_H
#define PROCSNAP_WAITED_H
#include "calls.h"

#define FILTERED		2	/* of "Seccomp:" */

bool was_asleep_in(const struct ps_thread *thread, long number);
/*
 * When the call is due, INT64_MAX where that is not met here: it has no timeout,
 * or (@lengthened) one of which nobody knows how much is left.
 */
int64_t deadline_of(pid_t pid, const struct ps_thread *thread, const struct call *call, int64_t done, bool *lengthened);

#endif
