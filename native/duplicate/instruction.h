/* SPDX-License-Identifier: MIT */
/* Where the target has a "syscall" instruction; exec() takes it away. */
#ifndef PROCSNAP_INSTRUCTION_H
#define PROCSNAP_INSTRUCTION_H
#include "procsnap.h"

#define MAX_TRIES	3		/* with exec() in between */

int ps_find_instruction(pid_t pid, uint64_t *address);
/* -EAGAIN: each try met another exec(). */
int ps_changing(pid_t pid);

#endif
