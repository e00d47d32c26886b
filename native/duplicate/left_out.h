/* SPDX-License-Identifier: MIT */
/* What a fork has left out of the duplicate (MADV_DONTFORK): found, and copied, while the target stands still. */
#ifndef PROCSNAP_LEFT_OUT_H
#define PROCSNAP_LEFT_OUT_H
#include "injection.h"

/* The target's size, to be read in its stop: a descriptor, or -1. */
int ps_open_size(pid_t target);
/* In pages; -1: not known; 0: it was of a thread that has ended since. */
int64_t ps_read_size(int fd);
int64_t ps_size_of(pid_t pid);
void ps_close_size(int fd);
/* @child: the duplicate, nothing of which was unmapped; @pages: what the target had at the moment. */
void ps_note_left_out(int64_t pages, pid_t child, struct ps_left_out *left_out);
/*
 * While the target stands still: find what it has and the child, which has not run, has not, and copy it. At most
 * @budget_ns is used.
 */
void ps_keep_left_out(const struct injection *in, pid_t child, int64_t budget_ns, struct ps_left_out *left_out);
/* Nothing was found yet. */
void ps_forget_left_out(struct ps_left_out *left_out);

#endif
