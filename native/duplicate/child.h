/* SPDX-License-Identifier: MIT */
/* The child that an injected clone() has made: ours to find, to hold, or to end. */
#ifndef PROCSNAP_CHILD_H
#define PROCSNAP_CHILD_H
#include "injection.h"

/*
 * The child's pid in our namespace; what clone() returned is in the target's.
 * CLONE_PTRACE attached it, so it is the one tracee that we do not know.
 */
pid_t ps_find_child(const struct injection *in, long inner_pid);
/* The same while the target is stopped, without waiting: 0 where it cannot be told yet. */
pid_t ps_find_child_now(const struct injection *in, long inner_pid);
/* Where memory is out, it is the duplicate that goes. */
void ps_offer_to_oom_killer(pid_t pid);
/* Wait for the child that clone() made, and see that it never runs and does no harm. */
int ps_hold_child(struct ps_duplicate *duplicate, const struct injection *in, int cpu);
/* Of another user's process, whom CAP_SYS_PTRACE lets us trace, its tracer may end it without CAP_KILL. */
void ps_kill_child(pid_t pid);
/* The target was killed in between: a child that it may have made is ours alone to end. */
void ps_end_stray_child(void);

#endif
