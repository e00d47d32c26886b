// SPDX-License-Identifier: MIT
/*
 * writer.c - writes without pause, so that a torn copy can be recognised
 *
 * One 64-bit counter at the start of each page. Generation g goes to page 0,
 * then 1, ... then the last, and then g + 1 to page 0. So at every instant the
 * counters, read from the first page to the last, never rise, and
 * first - last is 0 or 1. A copy of which parts were taken at different moments
 * breaks that; the two that are farthest apart, in the first and in the last
 * page, show it first.
 *
 * With several threads each has its own such region; they lie one after the
 * other, so region_bytes = threads * pages * 4096. `counter` is the number of
 * rounds of the first thread.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common.h"
#include "memory.h"
#include "options.h"
#include "serve.h"

#define PAGES_MOST	(1 << 20)
#define THREADS_MOST	256

static int64_t pages = 256;

static void write_round(char *start, uint64_t generation)
{
	int64_t page;

	/*
	 * Release, a plain store on x86: without it other architectures may
	 * let the stores be seen in another order.
	 */
	for (page = 0; page < pages; page++)
		__atomic_store_n((uint64_t *)(start + page * PAGE_BYTES), generation,
				 __ATOMIC_RELEASE);
}

static void *write_forever(void *start)
{
	uint64_t generation;

	for (generation = 1;; generation++)
		write_round(start, generation);
	return NULL;
}

int main(int argc, char **argv)
{
	struct placement placement = PLACEMENT_INHERITED;
	int64_t threads = 1;
	const struct option_row rows[] = {
		{ "pages", OPTION_NUMBER, &pages, 2, PAGES_MOST, "counters of a thread (256)" },
		{ "threads", OPTION_NUMBER, &threads, 1, THREADS_MOST, "writing threads (1)" },
		PLACEMENT_OPTIONS(placement),
		OPTIONS_END,
	};
	struct control *control;
	struct region region;
	pthread_t thread;
	int64_t index;
	int error;

	die_with_parent(getppid());
	options_parse(argc, argv, rows, NULL);
	control = control_map();
	placement_apply(&placement);

	region = region_make((size_t)(threads * pages) * PAGE_BYTES, PAGES_4K);
	memset(region.start, 0, region.bytes);
	for (index = 1; index < threads; index++) {
		error = pthread_create(&thread, NULL, write_forever,
				       (char *)region.start + index * pages * PAGE_BYTES);
		if (error)
			fail(EXIT_FAILURE, "thread %d: %s", (int)index, strerror(error));
	}
	control_ready(control, region.start, region.bytes);

	for (;;) {
		write_round(region.start, (uint64_t)control->counter + 1);
		control->counter++;
		if (control_pending(control))
			control_obey(control);
	}
}
