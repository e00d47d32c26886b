/* SPDX-License-Identifier: MIT */
/* Becoming the tracer of a thread, without stopping it: PTRACE_SEIZE, ptrace(2). */
#ifndef PROCSNAP_SEIZE_H
#define PROCSNAP_SEIZE_H
#include "procsnap.h"

/*
 * Between these two, ps_seize() may be called. PTRACE_SEIZE waits while the
 * target is in execve(2): not beyond @until_ns.
 */
void ps_begin_seizing(struct ps_stop *stop, int64_t until_ns);
void ps_end_seizing(void);
/* -ESRCH: it has ended, or is a first thread that did; -EBUSY, -EPERM ...: ps_error() says why. */
int ps_seize(struct ps_stop *stop, struct ps_thread *thread);

#endif
