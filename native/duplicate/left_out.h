/* SPDX-License-Identifier: MIT */
/* What a fork has left out of the duplicate (MADV_DONTFORK): found, and copied, while the target stands still. */
#ifndef PROCSNAP_LEFT_OUT_H
#define PROCSNAP_LEFT_OUT_H
#include "injection.h"

/* Before the stop: what it needs is there then. */
void ps_prepare_left_out(pid_t target, const struct ps_left_out *left_out);
/*
 * While the target stands still, after its fork: look how large it is, and the child, which has not run; find what the
 * one has and the other has not, and copy it. At most @budget_ns is used. @child: 0 where it is not found yet.
 */
void ps_keep_left_out(const struct injection *in, pid_t child, int64_t budget_ns, struct ps_left_out *left_out);
/* When the target runs again: how much @child lacks, if that was not known yet. Nothing of it was unmapped. */
void ps_note_left_out(pid_t child, struct ps_left_out *left_out);

#endif
