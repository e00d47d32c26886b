/* SPDX-License-Identifier: MIT */
/* For rest.c: io_uring_enter(2). */
#ifndef PROCSNAP_URING_H
#define PROCSNAP_URING_H
#include "calls.h"

enum rest rest_of_submitted(pid_t pid, struct user_regs_struct *regs, uint64_t done, bool asleep);

#endif
