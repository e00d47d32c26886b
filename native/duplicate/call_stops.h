/* SPDX-License-Identifier: MIT */
/* A call that is followed, at a stop of its thread. */
#ifndef PROCSNAP_CALL_STOPS_H
#define PROCSNAP_CALL_STOPS_H
#include "followed.h"

#define CALL_STOP	(SIGTRAP | 0x80)

void resume(struct followed *followed, int sig);
void interrupt(struct followed *followed);
/* Its call is over, or nobody follows it any more: its registers, mended from those of the stop, and it is let go. */
void finish(struct followed *followed, struct user_regs_struct *regs, int sig);
/* Is it in the stop at the beginning of a call? */
bool is_entry(const struct followed *followed);
/* It gives way no longer: what it has stopped for. */
void go_on_from_stop(struct followed *followed);

#endif
