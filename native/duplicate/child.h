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
/* The same without waiting for it: 0 also where it cannot be found yet. */
pid_t ps_find_child_now(const struct injection *in, long inner_pid);
/* Whoever has to die for want of memory in the target's cgroup: rather the duplicate. */
void ps_offer_to_oom_killer(pid_t pid);
/* Wait until the child that clone() made has stopped, and see that it never runs and does no harm: -ETIMEDOUT, -ESRCH.
 */
int ps_hold_child(struct ps_duplicate *duplicate, const struct injection *in, int cpu, int64_t timeout_ns, bool hurry);
/* Out of the real-time class, in which it is where the target waits for it (@hurry). */
void ps_calm_child(pid_t pid);
/* The child shares the target's table of descriptors: give it an empty one. */
int ps_drop_files(const struct ps_duplicate *duplicate, int64_t timeout_ns);
/*
 * Unmap what would go on holding things that are the target's after it has let
 * them go: shared mappings (file locks, an io_uring's files, SysV segments,
 * seals of a memfd), and private ones of files that are locked by flock() or an
 * open file description's lock. How many regions that were.
 */
int ps_drop_shared(const struct ps_duplicate *duplicate, int64_t timeout_ns);
/* It looks as the target did at the moment. */
void ps_dress_child(const struct ps_duplicate *duplicate);
/* Of another user's process, whom CAP_SYS_PTRACE lets us trace, its tracer may end it without CAP_KILL. */
void ps_kill_child(pid_t pid);
/* A child that nobody knows of, whose parent is not known to have made it; 0: there is none. */
pid_t ps_stray_child(void);
/* The target was killed in between: a child that it may have made is ours alone to end. */
void ps_end_stray_child(void);

#endif
