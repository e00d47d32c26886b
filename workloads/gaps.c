// SPDX-License-Identifier: MIT
/*
 * gaps.c - what CPUs are not given: hypervisor, firmware, interrupts
 *
 * One thread on each CPU reads the clock without pause and notes each time that
 * two readings are more than 10 us apart, as the kernel's hwlat tracer does
 * (Documentation/trace/hwlat_detector.rst), but with interrupts on: this is user
 * space. As SCHED_FIFO nobody else of this machine runs there meanwhile. It spins
 * in turns and sleeps between, so that others live, and so that neither real-time
 * throttling nor the fair server (0.95 s of a second) shows up as a gap.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "common.h"
#include "options.h"

#define GAP_NS		(10 * 1000LL)
#define TURN_NS		(200 * 1000 * 1000LL)
#define REST_NS		(50 * 1000 * 1000LL)

struct probe {
	pthread_t	thread;
	int64_t		cpu, priority, spin_ns;
	int		error;		/* the CPU cannot be used: an errno */
	int		fifo;
	int64_t		spun_ns, count, lost_ns, over_100us, over_1ms, largest_ns, preempted;
};

static void note(struct probe *probe, int64_t gap_ns)
{
	probe->count++;
	probe->lost_ns += gap_ns;
	probe->over_100us += gap_ns > 100 * 1000;
	probe->over_1ms += gap_ns > 1000 * 1000;
	if (gap_ns > probe->largest_ns)
		probe->largest_ns = gap_ns;
}

static void spin(struct probe *probe, int64_t ns)
{
	int64_t start = now_ns(), last = start, now;

	do {
		now = now_ns();
		if (now - last > GAP_NS)
			note(probe, now - last);
		else if (now - last > probe->largest_ns)
			probe->largest_ns = now - last;
		last = now;
	} while (now - start < ns);
	probe->spun_ns += now - start;
}

static void place(struct probe *probe)
{
	struct sched_param parameter = { .sched_priority = (int)probe->priority };
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)probe->cpu, &set);
	probe->error = pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	if (!probe->error && probe->priority)
		probe->fifo = !pthread_setschedparam(pthread_self(), SCHED_FIFO, &parameter);
}

static void *run(void *argument)
{
	const struct timespec rest = { .tv_nsec = REST_NS };
	struct probe *probe = argument;
	struct rusage before, after;

	place(probe);
	if (probe->error)
		return NULL;
	now_ns();
	getrusage(RUSAGE_THREAD, &before);
	for (int64_t left = probe->spin_ns; left > 0; left -= TURN_NS) {
		spin(probe, left < TURN_NS ? left : TURN_NS);
		if (left > TURN_NS)
			nanosleep(&rest, NULL);
	}
	getrusage(RUSAGE_THREAD, &after);
	probe->preempted = after.ru_nivcsw - before.ru_nivcsw;
	return NULL;
}

static void print(const struct probe *probe, const char *separator)
{
	if (probe->error)
		fail(EXIT_FAILURE, "may not run on CPU %" PRId64 ": %s", probe->cpu, strerror(probe->error));
	printf("%s{\"cpu\":%" PRId64 ",\"fifo\":%s,\"spunNs\":%" PRId64 ",\"count\":%" PRId64 ",\"lostNs\":%" PRId64
	       ",\"over100Us\":%" PRId64 ",\"over1Ms\":%" PRId64 ",\"largestNs\":%" PRId64 ",\"preempted\":%" PRId64 "}",
	       separator, probe->cpu, probe->fifo ? "true" : "false", probe->spun_ns, probe->count, probe->lost_ns,
	       probe->over_100us, probe->over_1ms, probe->largest_ns, probe->preempted);
}

int main(int argc, char **argv)
{
	int64_t ms = 1000, priority = 0;
	const struct option_row rows[] = {
		{ "ms", OPTION_NUMBER, &ms, 1, 60 * 1000, "spin for so long on each CPU, its rests not counted (1000)" },
		{ "fifo", OPTION_NUMBER, &priority, 1, 99, "as SCHED_FIFO of this priority, where that is allowed" },
		OPTIONS_END,
	};
	struct probe *probes;
	int first, count, err;

	die_with_parent(getppid());
	first = options_parse(argc, argv, rows, "CPU...");
	count = argc - first;
	probes = calloc((size_t)count + 1, sizeof(*probes));
	if (!count || !probes)
		fail(EXIT_USAGE, "name the CPUs; see --help");
	for (int i = 0; i < count; i++) {
		char *end;

		probes[i] = (struct probe){ .priority = priority, .spin_ns = ms * 1000 * 1000 };
		probes[i].cpu = strtol(argv[first + i], &end, 10);
		if (*end || end == argv[first + i] || probes[i].cpu < 0 || probes[i].cpu >= CPU_SETSIZE)
			fail(EXIT_USAGE, "\"%s\" is no CPU", argv[first + i]);
	}
	for (int i = 0; i < count; i++) {
		err = pthread_create(&probes[i].thread, NULL, run, &probes[i]);
		if (err)
			fail(EXIT_FAILURE, "no thread: %s", strerror(err));
	}
	for (int i = 0; i < count; i++)
		pthread_join(probes[i].thread, NULL);
	putchar('[');
	for (int i = 0; i < count; i++)
		print(&probes[i], i ? "," : "");
	puts("]");
	return 0;
}
