/* SPDX-License-Identifier: MIT */
/*
 * A log of the page faults of a process: perf_event_open(2). It tells what the
 * target has touched without a look at all of its page tables. What it misses
 * (process_vm_writev(2), futex(2)) is found by the check. It is relied upon for
 * one thing: a page that comes where a protected one was given up is protected,
 * until the instruction that has faulted for it is there once more (passes.c).
 */
#ifndef PROCSNAP_FAULTS_H
#define PROCSNAP_FAULTS_H
#include "procsnap.h"

/* Of all threads that @pid has, and of those that they will start. A negative errno. */
int ps_open_faults(pid_t pid);
void ps_close_faults(void);
/* Visit the addresses that have faulted since the last time. False: there may have been more than there is room for. */
bool ps_drain_faults(void (*visit)(uint64_t address));

#endif
