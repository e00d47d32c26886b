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
 * Is there a signal that the first thread takes as soon as it gets to run? Another
 * that passes the kernel's code of signals until then, since it was interrupted or
 * was in a stop, takes it in its place. @tid: the other; false where it is the first.
 */
bool ps_is_for_first(pid_t pid, pid_t tid);

/* How often it had been put on a CPU before it is let go: for ps_await_first(). */
int64_t ps_before_first(const struct ps_stop *stop);

/*
 * After it was let go: wait until it has gone on, and has taken what came in the
 * stop. For 20 ms at most, or 1 ms where a thread of the process has a real-time
 * policy: then it does not get a CPU. @other: one that is stopped still.
 */
void ps_await_first(const struct ps_stop *stop, const struct ps_thread *other, int64_t before);

#endif
