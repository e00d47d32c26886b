// SPDX-License-Identifier: MIT
/* The one clock that everything is measured with; and waiting by it. */
#include <stdlib.h>
#include <time.h>
#include "procsnap.h"

/* RAW: no NTP slewing within a measurement; served by the vDSO since Linux 5.3. */
int64_t ps_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return now.tv_sec * PS_NSEC_PER_SEC + now.tv_nsec;
}

int64_t ps_clock_resolution_ns(void)
{
	struct timespec resolution;

	clock_getres(CLOCK_MONOTONIC_RAW, &resolution);
	return resolution.tv_sec * PS_NSEC_PER_SEC + resolution.tv_nsec;
}

void (*ps_meanwhile)(void);

void ps_see_to_others(void)
{
	if (ps_meanwhile)
		ps_meanwhile();
}

void ps_sleep(int64_t ns)
{
	const struct timespec time = { ns / PS_NSEC_PER_SEC, ns % PS_NSEC_PER_SEC };

	nanosleep(&time, NULL);
	ps_see_to_others();
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int64_t ps_clock_overhead_ns(unsigned int rounds)
{
	/* 100 readings a sample: one reading is near the clock's own resolution. */
	int64_t *sample = calloc(rounds, sizeof(*sample)), median;
	unsigned int i, j;

	if (!sample)
		return -1;
	for (i = 0; i < rounds; i++) {
		int64_t start = ps_now_ns();

		for (j = 0; j < 99; j++)
			ps_now_ns();
		sample[i] = ps_now_ns() - start;
	}
	qsort(sample, rounds, sizeof(*sample), compare);
	median = (sample[rounds / 2] + 50) / 100;
	free(sample);
	return median;
}
