/* SPDX-License-Identifier: MIT */
/*
 * common.h - what every target program does before it is a target
 */
#ifndef WORKLOADS_COMMON_H
#define WORKLOADS_COMMON_H

#include <stdint.h>
#include <sys/types.h>

#define EXIT_USAGE	2	/* wrong arguments, or a set-up that was asked for and refused */

#define PAGE_BYTES	4096
#define NS_PER_S	1000000000LL

/* "program: message" on stderr, then exit(status) */
_Noreturn void fail(int status, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* CLOCK_MONOTONIC_RAW in ns: every time that is reported to the requester */
int64_t now_ns(void);

/* be killed when the parent (getppid()) dies: a dead harness leaves nothing behind */
void die_with_parent(pid_t parent);

/* where and how to run; -1 and 0 leave it as inherited */
struct placement {
	int64_t	cpu;
	int64_t	fifo;
};

#define PLACEMENT_INHERITED	{ .cpu = -1, .fifo = 0 }

void placement_apply(const struct placement *placement);

#endif
