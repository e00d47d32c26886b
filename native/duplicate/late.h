/* SPDX-License-Identifier: MIT */
/*
 * Threads that were interrupted and did not stop in time: an interruption cannot
 * be taken back, so each is waited for, and let go as it was when it stops.
 */
#ifndef PROCSNAP_LATE_H
#define PROCSNAP_LATE_H
#include "procsnap.h"

void ps_add_late(pid_t pid, const struct ps_thread *thread);
bool ps_is_late(pid_t tid);
bool ps_any_late(void);
void ps_late_run(void);
/* exec() gives its caller the first thread's tid: @tid is gone, but its stop is still to come, as that of @pid. */
bool ps_took_first_tid(pid_t pid, pid_t tid);

#endif
