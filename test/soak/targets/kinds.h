/* SPDX-License-Identifier: MIT */
/* The kinds of targets, by subject: each runs until it is told to leave. */
#ifndef SOAK_KINDS_H
#define SOAK_KINDS_H

#include "page.h"

struct kind {
	const char *name;
	void (*run)(const char *argument);
};

/* Each file's, ended by one without a name. */
extern const struct kind register_kinds[], timeout_kinds[], stream_kinds[], signal_kinds[], process_kinds[],
			 lock_kinds[], memory_kinds[], thread_kinds[], confined_kinds[], real_kinds[];

/* registers.c: a system call, or none (-1: a loop), with every register given and looked at afterwards; its result. */
long checked_call(const char *name, long number, long a, long b, long c, long d, long e, long f);

/* processes.c */
void fork_and_wait(void);

#endif
