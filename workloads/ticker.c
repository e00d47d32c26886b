// SPDX-License-Identifier: MIT
/*
 * ticker.c - a control loop in a process of a given size: is it late?
 *
 * At each multiple of the period (CLOCK_MONOTONIC) one word of each page of the
 * hot set is written to: so much memory is dirtied in a period, whatever a
 * processor can write. The hot set is spread evenly over the region in runs of
 * 16 pages, as that of a program is in many places. When a period was due, began
 * and ended is noted in a ring that follows the control page. Periods that are
 * missed altogether are not made up for, so that what is late once is not late
 * in what follows: they are those between two that are noted. result[7] is as in
 * resident.c.
 */
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common.h"
#include "memory.h"
#include "options.h"
#include "serve.h"

#define PERIOD_MOST_US	(3600LL * 1000 * 1000)
#define RUN_BYTES	(16 * PAGE_BYTES)

struct hot_set {
	char	*start;
	size_t	bytes;
	size_t	stride;		/* from the start of one run to that of the next */
};

/* Before control_map(), which closes the descriptor. Populated after the region, which is to be of a given RSS. */
static struct control_tick *ticks_map(void)
{
	size_t bytes = CONTROL_TICKS * sizeof(struct control_tick);
	struct control_tick *ticks;
	struct stat stat;

	if (fstat(CONTROL_FD, &stat) < 0 || (size_t)stat.st_size < CONTROL_TICKS_OFFSET + bytes)
		fail(EXIT_USAGE, "no log: file descriptor %d has less than %zu bytes",
		     CONTROL_FD, CONTROL_TICKS_OFFSET + bytes);
	ticks = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, CONTROL_FD, CONTROL_TICKS_OFFSET);
	if (ticks == MAP_FAILED)
		fail(EXIT_USAGE, "no log: cannot map file descriptor %d", CONTROL_FD);
	return ticks;
}

static struct hot_set hot_set(const struct region *region, size_t bytes)
{
	size_t runs = (bytes + RUN_BYTES - 1) / RUN_BYTES;
	size_t stride = region->bytes / runs / PAGE_BYTES * PAGE_BYTES;

	if (bytes > region->bytes)
		fail(EXIT_USAGE, "--hot: %zu KiB are more than the region of %zu KiB",
		     bytes / 1024, region->bytes / 1024);
	return (struct hot_set){
		.start = region->start, .bytes = bytes, .stride = stride < RUN_BYTES ? RUN_BYTES : stride,
	};
}

static void write_to(const struct hot_set *hot)
{
	size_t left = hot->bytes;

	for (char *run = hot->start; left; run += hot->stride)
		for (size_t at = 0; at < RUN_BYTES && left; at += PAGE_BYTES, left -= PAGE_BYTES)
			++*(volatile uint64_t *)(run + at);
}

static int64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static struct control_tick tick(const struct hot_set *hot, int64_t due_ns)
{
	struct control_tick tick;
	struct rusage usage;
	/* The timer's clock and the log's drift apart, but not within microseconds. */
	int64_t late_ns = monotonic_ns() - due_ns;

	tick.began_ns = now_ns();
	tick.due_ns = tick.began_ns - late_ns;
	write_to(hot);
	tick.ended_ns = now_ns();
	getrusage(RUSAGE_THREAD, &usage);
	tick.faults = usage.ru_minflt;
	return tick;
}

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	int64_t rss = 28 << 20;
	int64_t hot_bytes = 64 << 10;
	int64_t period_us = 1000;
	int64_t pages = PAGES_4K;
	const struct option_row rows[] = {
		{ "rss", OPTION_SIZE, &rss, PAGE_BYTES, 0,
		  "what the whole process has resident, but for its log (28M)" },
		{ "pages", OPTION_PAGES, &pages, 0, 0, "4k or thp (4k)" },
		{ "hot", OPTION_SIZE, &hot_bytes, PAGE_BYTES, 0,
		  "of that, what is written to in each period (64K)" },
		{ "period-us", OPTION_NUMBER, &period_us, 1, PERIOD_MOST_US,
		  "time between two beginnings (1000)" },
		PLACEMENT_OPTIONS(placement),
		OPTIONS_END,
	};
	struct control_tick *ticks;
	struct control *control;
	struct region region;
	struct hot_set hot;

	die_with_parent(getppid());
	options_parse(argc, argv, rows, NULL);
	ticks = ticks_map();
	control = control_map();
	placement_apply(&placement);
	/* Without a real-time policy the kernel may end a sleep 50 us late, to end others with it. */
	prctl(PR_SET_TIMERSLACK, 1);

	region = region_fill_rss((size_t)rss, (enum pages)pages);
	hot = hot_set(&region, (size_t)hot_bytes);
	madvise(ticks, CONTROL_TICKS * sizeof(*ticks), MADV_POPULATE_WRITE);
	tick(&hot, 0);	/* the clocks' own page faults, once, before anybody counts */
	control->result[7] = (int64_t)huge_bytes();
	control_ready(control, region.start, region.bytes);

	for (;;) {
		int64_t period_ns = period_us * 1000;
		int64_t due_ns = (monotonic_ns() / period_ns + 1) * period_ns;
		struct timespec due = { .tv_sec = due_ns / NS_PER_S, .tv_nsec = due_ns % NS_PER_S };

		while (control_wait(control, &due))
			control_obey(control);
		ticks[control->counter % CONTROL_TICKS] = tick(&hot, due_ns);
		__atomic_store_n(&control->counter, control->counter + 1, __ATOMIC_RELEASE);
	}
}
