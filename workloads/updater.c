// SPDX-License-Identifier: MIT
/*
 * updater.c - the paper's target of evaluation 4: updates a region periodically
 *
 * One pass loads and stores every 32-bit word of the region. The first pass
 * after a duplicate was made pays for copy-on-write, so each pass is timed and
 * kept in the control page's log; result[7] is as in resident.c. Passes start where CLOCK_MONOTONIC is a
 * multiple of the period, plus the phase. Periods that are missed altogether are
 * not made up for: the log's start times show the hole.
 */
#include <sys/resource.h>
#include <unistd.h>

#include "common.h"
#include "memory.h"
#include "options.h"
#include "serve.h"

#define PERIOD_MOST_US	(3600LL * 1000 * 1000)

/* volatile: neither loads nor stores may be merged, as with a control program's I/O image */
static void update(const struct region *region)
{
	volatile uint32_t *word = region->start;
	volatile uint32_t *end = word + region->bytes / sizeof(*word);

	for (; word < end; word++)
		*word = *word + 1;
}

/* not inlined: the same instructions at the same place, whoever asks for the pass */
static __attribute__((noinline)) struct control_pass
timed_update(const struct region *region)
{
	struct control_pass pass;

	pass.start_ns = now_ns();
	update(region);
	pass.duration_ns = now_ns() - pass.start_ns;
	return pass;
}

static void command_update(struct control *control, const struct region *region)
{
	struct rusage before, after;
	struct control_pass pass;

	/* this first call also takes the stack's own copy-on-write fault */
	getrusage(RUSAGE_THREAD, &before);
	pass = timed_update(region);
	getrusage(RUSAGE_THREAD, &after);

	control->result[0] = pass.duration_ns;
	control->result[1] = after.ru_minflt - before.ru_minflt;
	control_done(control);
}

static void log_update(struct control *control, const struct region *region)
{
	int64_t count = control->counter;

	control->passes[count % CONTROL_PASSES] = timed_update(region);
	__atomic_store_n(&control->counter, count + 1, __ATOMIC_RELEASE);
}

/* the next time after now that is a multiple of the period, plus the phase */
static struct timespec next_start(int64_t period_ns, int64_t phase_ns)
{
	struct timespec now;
	int64_t ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = now.tv_sec * NS_PER_S + now.tv_nsec - phase_ns;
	ns += period_ns - ns % period_ns + phase_ns;
	return (struct timespec){ .tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S };
}

static void obey(struct control *control, const struct region *region)
{
	if (control->command == COMMAND_UPDATE)
		command_update(control, region);
	else
		control_obey(control);
}

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	int64_t bytes = 64 << 10;
	int64_t period_us = 2000;
	int64_t phase_us = 0;
	int64_t pages = PAGES_4K;
	const struct option_row rows[] = {
		{ "region", OPTION_SIZE, &bytes, PAGE_BYTES, 0, "what a pass updates (64K)" },
		{ "period-us", OPTION_NUMBER, &period_us, 0, PERIOD_MOST_US,
		  "time between passes; 0: only on command (2000)" },
		{ "phase-us", OPTION_NUMBER, &phase_us, 0, PERIOD_MOST_US,
		  "how long after the multiple of the period (0)" },
		{ "pages", OPTION_PAGES, &pages, 0, 0, "4k or thp (4k)" },
		PLACEMENT_OPTIONS(placement),
		OPTIONS_END,
	};
	struct control *control;
	struct region region;
	struct timespec next;

	die_with_parent(getppid());
	options_parse(argc, argv, rows, NULL);
	if (period_us && phase_us >= period_us)
		fail(EXIT_USAGE, "--phase-us: must be less than the period");
	control = control_map();
	placement_apply(&placement);

	region = region_make((size_t)bytes, (enum pages)pages);
	timed_update(&region);	/* the clock's own page faults, once, before anybody counts */
	control->result[7] = (int64_t)huge_bytes();
	control_ready(control, region.start, region.bytes);

	while (!period_us) {
		control_wait(control, NULL);
		obey(control, &region);
	}
	for (;;) {
		next = next_start(period_us * 1000, phase_us * 1000);
		while (control_wait(control, &next))
			obey(control, &region);
		log_update(control, &region);
	}
}
