// SPDX-License-Identifier: MIT
/*
 * periodic BUSY_US SLEEP_US [JITTER_US]: 64 MiB of memory in small pages, written
 * to here and there while it is busy; word 1 counts turns. SLEEP_US 0: it never
 * sleeps. Else it wakes at multiples of their sum, or, with a jitter, sleeps for
 * up to so much longer each time. Ahead of others where that is allowed.
 */
#include <sys/prctl.h>
#include "target.h"

#define BYTES	(64UL << 20)

static void work_until(int64_t until_ns, volatile char *memory)
{
	for (int turn = 0; now_ns() < until_ns; turn++)
		memory[turn % 8 * 4096]++;
}

static void sleep_until(int64_t at_ns)
{
	const struct timespec at = { at_ns / 1000000000, at_ns % 1000000000 };

	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

int main(int argc, char **argv)
{
	int64_t busy_ns = argc > 1 ? atoll(argv[1]) * 1000 : 0, sleep_ns = argc > 2 ? atoll(argv[2]) * 1000 : 0;
	int64_t jitter_ns = argc > 3 ? atoll(argv[3]) * 1000 : 0, at_ns, period_ns = busy_ns + sleep_ns;
	char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	need(memory != MAP_FAILED, "mmap");
	madvise(memory, BYTES, MADV_NOHUGEPAGE);
	memset(memory, 1, BYTES);
	/* What never sleeps would keep everybody else from its CPU. */
	if (sleep_ns)
		sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 2 });
	prctl(PR_SET_TIMERSLACK, 1);
	for (;;) {
		at_ns = now_ns();
		work_until(at_ns + busy_ns, memory);
		add(1, 1);
		ready();
		if (jitter_ns)
			sleep_until(now_ns() + sleep_ns + random() % jitter_ns);
		else if (sleep_ns)
			sleep_until((at_ns / period_ns + 1) * period_ns);
	}
}
