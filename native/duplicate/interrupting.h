/* SPDX-License-Identifier: MIT */
/* Interrupting threads, and waiting until they are in their stop: for threads.c. */
#ifndef PROCSNAP_INTERRUPTING_H
#define PROCSNAP_INTERRUPTING_H
#include "procsnap.h"

/* For how long threads that are stopped may wait for others. */
int64_t limit_ns(const struct ps_stop *stop);
/* An interrupted thread is in its stop: 0; -ETIMEDOUT, -ESRCH. */
int await_stop(struct ps_stop *stop, struct ps_thread *thread, int64_t timeout_ns);

/*
 * In which order threads are interrupted. First those that may take their time,
 * while the others run on. Last the first thread of the process: signals that
 * are sent to the process are for it, as long as it runs, and another thread
 * that had one instead might see its call end.
 */
enum turn { BUSY, ASLEEP, FIRST_THREAD, TURNS };

/* Interrupt those that are seized and whose turn it is, and wait for all that are interrupted. */
int interrupt_new(struct ps_stop *stop, enum turn turn);

#endif
