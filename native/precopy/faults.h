/* SPDX-License-Identifier: MIT */
/*
 * A log of all page faults of a process: perf_event_open(2). The first write to a
 * page that is protected, and the first touch of one that is not there, are in it.
 * What the kernel writes by other ways (process_vm_writev(2), O_DIRECT) is not.
 */
#ifndef PROCSNAP_FAULTS_H
#define PROCSNAP_FAULTS_H
#include "procsnap.h"

/* @present: the page was in memory when it was touched. */
typedef void (*fault_visitor)(uint64_t address, bool present, void *arg);

/* Of all threads that @pid has, and of those that they will start. A negative errno. */
int ps_open_faults(pid_t pid);
void ps_close_faults(void);
/* Visit what has come since the last time, of each thread in its order. */
void ps_drain_faults(fault_visitor visit, void *arg);
/* Processes that it has made, by fork(2) and the like: all in all, as of the last drain. */
uint64_t ps_logged_forks(void);

#endif
