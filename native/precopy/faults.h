/* SPDX-License-Identifier: MIT */
/*
 * A log of the page faults of a process: perf_event_open(2). It tells what the
 * target has touched without a look at all of its page tables, and is trusted for
 * no more than that: what it misses (process_vm_writev(2), futex(2), more faults
 * than there is room for) is found by the check.
 */
#ifndef PROCSNAP_FAULTS_H
#define PROCSNAP_FAULTS_H
#include "procsnap.h"

/* Of all threads that @pid has, and of those that they will start. A negative errno. */
int ps_open_faults(pid_t pid);
void ps_close_faults(void);
/* Visit the addresses that have faulted since the last time. */
void ps_drain_faults(void (*visit)(uint64_t address));

#endif
