/* SPDX-License-Identifier: MIT */
/* Threads that were killed while they are stopped: their process waits until their tracer takes note. */
#ifndef PROCSNAP_DEATHS_H
#define PROCSNAP_DEATHS_H
#include "procsnap.h"

/* Was it killed in its stop? This takes note of its death. */
bool has_died(const struct ps_thread *thread);
/* Of all that are stopped but @except. */
void note_deaths(struct ps_stop *stop, const struct ps_thread *except);
/* Take those that have died off stop->thread. */
void forget_dead(struct ps_stop *stop);

#endif
