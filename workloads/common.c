// SPDX-License-Identifier: MIT
/*
 * common.c - errors, clock, life span and placement of a target program
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "common.h"

void fail(int status, const char *format, ...)
{
	va_list arguments;

	fprintf(stderr, "%s: ", program_invocation_short_name);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(status);
}

int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

void die_with_parent(pid_t parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		fail(EXIT_USAGE, "prctl(PR_SET_PDEATHSIG): %s", strerror(errno));
	/*
	 * A parent that died before the prctl() sends no signal any more. Not
	 * "is it 1 now": in a container the harness itself may be process 1.
	 */
	if (getppid() != parent)
		fail(EXIT_FAILURE, "the parent died during set-up");
}

void placement_apply(const struct placement *placement)
{
	if (placement->cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET((size_t)placement->cpu, &set);
		if (sched_setaffinity(0, sizeof(set), &set) < 0)
			fail(EXIT_USAGE, "--cpu: may not run on CPU %d: %s",
			     (int)placement->cpu, strerror(errno));
	}
	if (placement->fifo > 0) {
		struct sched_param parameter = {
			.sched_priority = (int)placement->fifo,
		};

		if (sched_setscheduler(0, SCHED_FIFO, &parameter) < 0)
			fail(EXIT_USAGE, "--fifo: no SCHED_FIFO with priority %d: %s",
			     (int)placement->fifo, strerror(errno));
	}
}
