/* SPDX-License-Identifier: MIT */
/* Waiting for tracees, and on which CPU: for what stops a target. */
#ifndef PROCSNAP_WAIT_H
#define PROCSNAP_WAIT_H
#include "procsnap.h"

/* Sleep until a tracee has stopped or ended, for 2 ms at most. */
void ps_nap(void);

/*
 * A wait that spins is fastest where a wake-up from an idle CPU is slow, but on
 * a CPU that the target may use it may keep the target from running, and so from
 * stopping. ps_choose_cpu() moves the calling thread and sets stop->spin_ns:
 * to a CPU that none of @tids may use, where the waits of a stop may spin for
 * PS_SPIN_NS in all; else to one where none of them has run last, and where they are
 * not likely to come, for PS_SHORT_SPIN_NS; else nowhere, and waits sleep.
 * ps_restore_cpu() undoes it.
 */
#define PS_SPIN_NS		(50 * 1000 * 1000LL)
#define PS_SHORT_SPIN_NS	(200 * 1000LL)
void ps_choose_cpu(struct ps_stop *stop, const pid_t *tids, int count);
void ps_restore_cpu(void);

#endif
