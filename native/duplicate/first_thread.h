/* SPDX-License-Identifier: MIT */
#ifndef PROCSNAP_FIRST_THREAD_H
#define PROCSNAP_FIRST_THREAD_H
#include "procsnap.h"

/*
 * Signals that are sent to a process are for its first thread, as long as that one
 * can take them: so it is the last to be stopped, and the first to go on. The kernel
 * gives them to another while the first has not gone on yet after its tracer let it
 * go (kernel/signal.c, wants_signal()), and from then on to that other one again
 * (signal->curr_target) wherever the thread that they come by blocks them. Its
 * calls then fail with EINTR, for as long as the process lives.
 */

/*
 * Wait until it has taken what it has got: another thread that passes the kernel's
 * code of signals meanwhile, since it was interrupted or was in a stop, would take
 * that in its place. For 10 ms at most. @tid: the other, or 0.
 * Nothing where it is the first thread.
 */
void ps_leave_signals_to_first(pid_t pid, pid_t tid);

/* How often it had been put on a CPU before it is let go: for ps_await_first(). */
int64_t ps_before_first(const struct ps_stop *stop);

/*
 * After it was let go: wait until it has gone on, and has taken what came in the
 * stop. For 5 ms at most: what it has not taken by then it blocks, or it does not
 * get a CPU. @other: one that is stopped still.
 */
void ps_await_first(const struct ps_stop *stop, const struct ps_thread *other, int64_t before);

#endif
