/* SPDX-License-Identifier: GPL-2.0 */
/* Every errno of both calls: what its files share, file by file. */
#ifndef ERRORS_H
#define ERRORS_H

#include "lib/snap.h"

#define USER	1000
enum { READY = 1, READY_OTHER, READY_HIDDEN, READY_BIG, TICKS };

/* --- errors-calls.c --- */

pid_t by_struct(pid_t pid);
int pidfd_of(pid_t pid);
pid_t by_pidfd_fd(int fd);
pid_t by_pidfd(pid_t pid);
/* It is pending, which it only can be where it is blocked. */
bool child_signal(void);
void forget_child_signal(void);
void block_child_signal(void);
/* Calls within what must leave nothing: no child, no signal. -ECHILD if it does. */
long cleanly(pid_t (*call)(pid_t), pid_t pid);
/* For in_child(): @call, cleanly, of @subject. */
extern pid_t subject;
long one_way(void *call);

/* --- errors-limits.c --- */

void test_nproc(void);
void test_pids_group(void);
void test_memory_group(void);

/* --- errors-struct.c --- */

void test_struct(void);

#endif
