/* SPDX-License-Identifier: MIT */
/* Before a stop, while the target runs: is there a thread that would not stop? */
#ifndef PROCSNAP_WILLING_H
#define PROCSNAP_WILLING_H
#include "procsnap.h"

/* Wait until those from stop->thread[@first] on will stop. 0, or -ETIMEDOUT: one of them does not. */
int await_willing(struct ps_stop *stop, int first);
/* Where in the kernel the thread waits, for messages; "?" where that is not told. */
void wchan_of(pid_t pid, pid_t tid, char *name, size_t size);

#endif
