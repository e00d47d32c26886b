/* SPDX-License-Identifier: MIT */
/* Waiting for tracees, and on which CPU: for what stops a target. */
#ifndef PROCSNAP_WAIT_H
#define PROCSNAP_WAIT_H
#include "procsnap.h"

/* Sleep until a tracee has stopped or ended, for 2 ms at most. */
void ps_nap(void);

/*
 * A wait that spins is fastest where a wake-up from an idle CPU is slow, but on
 * a CPU that the target may use it keeps the target from running, and so from
 * stopping. ps_choose_cpu() moves the calling thread to a CPU that none of
 * @tids may use, and sets stop->spin; where there is none it changes nothing,
 * and waits sleep. ps_restore_cpu() undoes it.
 */
void ps_choose_cpu(struct ps_stop *stop, const pid_t *tids, int count);
void ps_restore_cpu(void);

#endif
