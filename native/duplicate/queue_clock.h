/* SPDX-License-Identifier: MIT */
/* The clock by which the kernel tells when a thread last ran: for waited.c and wait.c. */
#ifndef PROCSNAP_QUEUE_CLOCK_H
#define PROCSNAP_QUEUE_CLOCK_H
#include "procsnap.h"

/*
 * The run queue's clock of @cpu now, for a thread that has slept since @since of
 * that clock: never later than it is. In a thread of its own: real-time tasks of
 * the target may keep that CPU from us, and then it is given up (-1).
 */
int64_t ps_queue_clock(int cpu, int64_t since);
/* Where a thread last ran, or -1. */
int ps_last_cpu(pid_t pid, pid_t tid);

#endif
