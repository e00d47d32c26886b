// SPDX-License-Identifier: MIT
/*
 * How long a thread has slept: /proc/PID/task/TID/sched has se.exec_start, the
 * run queue's clock when it last ran, so the clock must be read on that CPU.
 */
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "queue_clock.h"

/* The target runs meanwhile; only on a CPU that others keep does this take so long. */
#define CLOCK_WAIT_NS	20000000

/* A reading is used for this long, for those who slept by then. */
#define FRESH_NS	PS_NSEC_PER_SEC
#define CPUS		1024
#define READINGS	4

struct queue_clock { int64_t now, read_ns, failed_ns; };

/* Since one thread after the other asks. */
static struct queue_clock known[CPUS];

static void *read_queue_clock(void *arg)
{
	struct queue_clock *clock = arg, best = { 0 };

	/*
	 * A thread that has just been put on its CPU last began to run now. If others
	 * get the CPU between the two readings, it begins again when it goes on: the
	 * pair with the least between them counts.
	 */
	for (int i = 0; i < READINGS; i++) {
		struct queue_clock once;

		once.now = ps_proc_number("/proc/thread-self/sched", "se.exec_start", 1000000);
		once.read_ns = ps_now_ns();
		if (!i || once.read_ns - once.now < best.read_ns - best.now)
			best = once;
	}
	*clock = best;
	return NULL;
}

int64_t ps_queue_clock(int cpu, int64_t since)
{
	struct queue_clock *clock = calloc(1, sizeof(*clock));
	struct timespec until;
	pthread_attr_t attr;
	pthread_t thread;
	cpu_set_t there;
	int64_t now = -1;
	int err;

	/*
	 * It stands still while the CPU serves interrupts, or is another virtual
	 * machine's: only what was read after @since is not too late a time.
	 */
	if (cpu >= 0 && cpu < CPUS && known[cpu].now >= since && ps_now_ns() - known[cpu].read_ns < FRESH_NS) {
		free(clock);
		return known[cpu].now + ps_now_ns() - known[cpu].read_ns;
	}
	if (!clock || cpu < 0)
		goto out;
	/* Others keep it: not one wait for each thread that slept there. */
	if (cpu < CPUS && known[cpu].failed_ns && ps_now_ns() - known[cpu].failed_ns < FRESH_NS)
		goto out;
	CPU_ZERO(&there);
	CPU_SET(cpu, &there);
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 64 << 10);
	pthread_attr_setaffinity_np(&attr, sizeof(there), &there);
	err = pthread_create(&thread, &attr, read_queue_clock, clock);
	pthread_attr_destroy(&attr);
	if (err)
		goto out;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += CLOCK_WAIT_NS;
	until.tv_sec += until.tv_nsec / PS_NSEC_PER_SEC;
	until.tv_nsec %= PS_NSEC_PER_SEC;
	if (pthread_timedjoin_np(thread, NULL, &until)) {
		pthread_detach(thread);
		if (cpu < CPUS)
			known[cpu].failed_ns = ps_now_ns();
		return -1;	/* the thread still uses `clock`: 16 bytes are lost */
	}
	if (clock->now > 0) {
		now = clock->now + (ps_now_ns() - clock->read_ns);
		if (cpu < CPUS)
			known[cpu] = *clock;
	}
out:
	free(clock);
	return now;
}

int ps_last_cpu(pid_t pid, pid_t tid)
{
	char path[64], stat[1024], *field;
	FILE *file;
	int cpu = -1;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return -1;
	if (fgets(stat, sizeof(stat), file) && (field = strrchr(stat, ')'))) {
		/* processor is field 39, the state after the bracket field 3 */
		for (int i = 2; field && i < 39; i++)
			field = strchr(field + 1, ' ');
		if (field)
			cpu = atoi(field);
	}
	fclose(file);
	return cpu;
}
