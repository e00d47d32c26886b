// SPDX-License-Identifier: MIT
/* What a copy costs in memory, at most, and how long its stop is likely to take. Pure, but for the measuring. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "core/living.h"
#include "estimate.h"
#include "facts.h"

/*
 * The reserve is what the target may take while a duplicate is being ended. The
 * parts, as measured with 1 to 4 threads that write to one page after the other
 * on two CPUs, beside a load of 25:
 *  - a thread copies 0.6 to 1.3 GB/s; the fastest known machines 3: 2 GiB/s for
 *    each thread that can run, at most 8 (beyond that the kernel's own locks
 *    bound it), ...
 *  - ... for 10 ms. The watch looks every millisecond where there is little room.
 *    With SCHED_FIFO, and begun while the target is stopped, it was at most
 *    11 MiB late in 139 early ends of 200 takes, and no target was killed. Begun
 *    after the target went on, by an ordinary tracer, it was up to 68 MiB late,
 *    and 2 of 100 targets were killed: that is why ps_watch_is_tight() is asked.
 *    Without the right to SCHED_FIFO the 10 ms are what there is for waiting;
 *  - while the duplicate's page tables are taken apart, at 10 to 25 GB/s, the
 *    target goes on at its pace: a 12th of its memory for each thread;
 *  - and 8 MiB for what else happens in the same cgroup meanwhile.
 */
#define WRITE_KIB_PER_MS	2048
#define REACTION_MS		10
#define MOST_WRITERS		8
#define APART			12
#define OTHERS_KIB		8192

/* The kernel's own objects of a process, and of each region. */
#define PROCESS_KIB		256
#define REGION_KIB		1

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t known(int64_t value)
{
	return value > 0 ? value : 0;
}

void ps_cost_of(const struct ps_facts *facts, struct ps_cost *cost)
{
	int64_t writers = least(least(facts->threads, facts->cpus), MOST_WRITERS);

	if (writers < 1)
		writers = 1;
	cost->clone = known(facts->tables) + facts->regions * REGION_KIB + PROCESS_KIB;
	cost->growth = known(facts->anonymous) + known(facts->swapped) + cost->clone;
	cost->reserve = least(cost->growth, OTHERS_KIB + writers * WRITE_KIB_PER_MS * REACTION_MS +
			      known(facts->resident) * writers / APART);
}

/* ---- the pause ------------------------------------------------------------ */

#define TRIAL_BYTES	(8UL << 20)
#define PAGE		4096
#define HUGE_KIB	2048
/* A huge page's entry in the page tables, and the table kept for it: as much as some small pages. */
#define HUGE_AS_SMALL	8
/* A thread's stop: the interruption, its registers read, its release. */
#define STOP_NS		60000
#define STOP_THREAD_NS	12000
/* Two calls made in the target's name, each with two stops of its thread; or some pages found and read. */
#define TWO_CALLS_NS	150000
#define TRIALS		5

static int64_t time_of_fork(void)
{
	int64_t best = INT64_MAX;

	for (int i = 0; i < TRIALS; i++) {
		int64_t start = ps_now_ns(), took;
		pid_t child = fork();

		if (!child)
			_exit(0);
		took = ps_now_ns() - start;
		if (child < 0)
			return -1;
		waitpid(child, NULL, 0);
		best = least(best, took);
	}
	return best;
}

/* How long fork() takes for each page, on this machine and now: with and without some memory of our own. */
static int64_t page_ps(void)
{
	int64_t without, with;
	void *memory = mmap(NULL, TRIAL_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return -1;
	without = time_of_fork();
	madvise(memory, TRIAL_BYTES, MADV_NOHUGEPAGE);
	memset(memory, 1, TRIAL_BYTES);
	with = time_of_fork();
	munmap(memory, TRIAL_BYTES);
	return with < 0 || without < 0 ? -1 : known(with - without) * 1000 / (int64_t)(TRIAL_BYTES / PAGE);
}

int64_t ps_estimate_stop_ns(const struct ps_preflight *preflight)
{
	return STOP_NS + preflight->threads * STOP_THREAD_NS + TWO_CALLS_NS;
}

int64_t ps_estimate_pause_ns(pid_t target, const struct ps_preflight *preflight, int64_t anonymous_kib)
{
	int64_t huge_kib = anonymous_kib * ps_huge_share(ps_living_thread(target)) / 1000, per_page = page_ps();
	int64_t pages = (anonymous_kib - huge_kib) / 4 + huge_kib / HUGE_KIB * HUGE_AS_SMALL;

	if (per_page < 0)
		return -1;
	return STOP_NS + preflight->threads * STOP_THREAD_NS + time_of_fork() + pages * per_page / 1000;
}
