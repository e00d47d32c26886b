// SPDX-License-Identifier: GPL-2.0
/* The time, and passing it. */
#include <stdlib.h>
#include <time.h>

#include "snap.h"

uint64_t now_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000000UL + time.tv_nsec;
}

double now(void)
{
	return now_ns() / 1e9;
}

double patience_s(void)
{
	const char *told = getenv("PATIENCE");

	return told ? atof(told) : 60;
}

void pause_ms(long ms)
{
	struct timespec time = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&time, NULL);
}
