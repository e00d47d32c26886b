/* SPDX-License-Identifier: MIT */
/*
 * Threads in whose place a supervisor acts, seccomp_unotify(2). If the wait for it
 * is interrupted, the call is made again, and the supervisor acts a second time.
 */
#ifndef PROCSNAP_SUPERVISED_H
#define PROCSNAP_SUPERVISED_H
#include "procsnap.h"

/* Before anything is done: 0 when a supervisor that acts for @thread has answered, -ETIMEDOUT if it does not. */
int ps_await_supervisor(pid_t pid, struct ps_thread *thread, int64_t timeout_ns);
/*
 * Right before the interruption: returns when the thread sleeps elsewhere; if it never does, when it has just
 * got an answer, or after @limit_ns.
 */
void ps_await_answer(pid_t pid, struct ps_thread *thread, int64_t limit_ns, bool spin);

#endif
